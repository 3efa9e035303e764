//! Wiring: builds the rooms from the ground up, starts the planes, stops them.
