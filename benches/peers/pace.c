/* Requests at a fixed rate over a fixed number of keep-alive connections, whatever the answers take.
 *
 *   cc -O2 -o pace pace.c && ./pace PORT RATE SECONDS CONNECTIONS TOKENS
 *
 * A closed loop hides a stall: while it waits it asks nothing, so one slow answer counts once. Here each request has a
 * moment at which it is due, evenly spread, and its latency counts from that moment even when its connection was still
 * busy. TOKENS is a file of bearer tokens, one a line, used in turn. Answers must be 200 with a Content-Length.
 * Prints one JSON object: how many failed, and the microseconds that each of the others took. 127.0.0.1 only; ends by itself.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define IN 65536
struct conn { int fd, busy; double due, next; size_t len; char in[IN]; };

static int port, ep;
static char **heads;
static size_t head_count, turn;
static double *took;
static size_t done, failed;

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void fail(const char *why) { fprintf(stderr, "pace: %s\n", why); exit(1); }

static void join(struct conn *c) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (void *)&a, sizeof a) < 0) fail("cannot connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
    c->busy = 0;
    c->len = 0;
}

static void rejoin(struct conn *c) {
    failed += c->busy;
    close(c->fd);
    join(c);
}

static void ask(struct conn *c, double due) {
    const char *head = heads[turn++ % head_count];
    c->due = due;
    c->busy = 1;
    c->len = 0;
    if (send(c->fd, head, strlen(head), MSG_NOSIGNAL) != (ssize_t)strlen(head)) rejoin(c);
}

/* The whole answer has arrived: 1; more is to come: 0; it is no good: -1. */
static int whole(struct conn *c) {
    c->in[c->len] = 0;
    char *end = strstr(c->in, "\r\n\r\n");
    if (!end) return c->len + 1 >= IN ? -1 : 0;
    char *length = strcasestr(c->in, "\r\ncontent-length:");
    if (!length || length > end) return -1;
    size_t body = strtoul(length + 17, NULL, 10), total = end + 4 - c->in + body;
    return c->len >= total ? 1 : 0;
}

static void answer(struct conn *c) {
    ssize_t n = recv(c->fd, c->in + c->len, IN - 1 - c->len, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) { rejoin(c); return; }
    c->len += n;
    int state = whole(c);
    if (state < 0) { rejoin(c); return; }
    if (state == 0) return;
    if (!strncmp(c->in, "HTTP/1.1 200", 12)) took[done++] = now_us() - c->due; else failed++;
    c->busy = 0;
}

static void read_tokens(const char *path) {
    FILE *f = fopen(path, "r");
    if (!f) fail("no tokens");
    char line[4096];
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        heads = realloc(heads, (head_count + 1) * sizeof *heads);
        if (asprintf(&heads[head_count++], "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", line) < 0)
            fail("no memory");
    }
    fclose(f);
    if (!head_count) fail("no tokens");
}

int main(int argc, char **argv) {
    if (argc != 6) fail("PORT RATE SECONDS CONNECTIONS TOKENS");
    port = atoi(argv[1]);
    double rate = atof(argv[2]), seconds = atof(argv[3]);
    int count = atoi(argv[4]);
    if (rate <= 0 || rate > 1e5 || seconds <= 0 || seconds > 300 || count < 1 || count > 1000) fail("out of bounds");
    read_tokens(argv[5]);
    took = malloc(sizeof *took * (size_t)(rate * seconds + 2 * count + 16));
    ep = epoll_create1(0);
    struct conn *all = calloc(count, sizeof *all);
    for (int i = 0; i < count; i++) join(&all[i]);
    double step = 1e6 / rate, begin = now_us() + 1e4, end = begin + seconds * 1e6;
    for (int i = 0; i < count; i++) all[i].next = begin + i * step;  /* each connection asks at count × step */
    struct epoll_event es[64];
    int clock = timerfd_create(CLOCK_MONOTONIC, 0);
    struct epoll_event te = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(ep, EPOLL_CTL_ADD, clock, &te);
    for (;;) {
        double t = now_us(), soonest = end + 1e6;
        int open = 0;
        for (int i = 0; i < count; i++) {
            struct conn *c = &all[i];
            if (!c->busy && c->next <= t && c->next < end) { ask(c, c->next); c->next += count * step; }
            if (!c->busy && c->next < end && c->next < soonest) soonest = c->next;
            open += c->busy || c->next < end;
        }
        if (!open || t > end + 10e6) { for (int i = 0; i < count; i++) failed += all[i].busy; break; }
        struct itimerspec w = {.it_value = {.tv_sec = (time_t)(soonest / 1e6), .tv_nsec = (long)((soonest - (time_t)(soonest / 1e6) * 1e6) * 1e3)}};
        timerfd_settime(clock, TFD_TIMER_ABSTIME, &w, NULL);
        int n = epoll_wait(ep, es, 64, 1000);
        for (int i = 0; i < n; i++) if (es[i].data.ptr) answer(es[i].data.ptr);
    }
    printf("{\"failed\": %zu, \"took\": [", failed);
    for (size_t i = 0; i < done; i++) printf("%s%.0f", i ? ", " : "", took[i]);
    printf("]}\n");
    return 0;
}
