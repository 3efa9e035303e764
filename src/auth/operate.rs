//! What an operator does to accounts and sessions from the command line.
