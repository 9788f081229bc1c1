// Preloaded into scry under test: kills the process at the n-th call of a kind on files below a folder, as a crash does.
// SCRY_CRASH_CALL is write, sync, rename, unlink or truncate; SCRY_CRASH_MOMENT before, after or torn (half of a write);
// SCRY_CRASH_NUMBER counts from 1; SCRY_CRASH_BELOW is a part of the path. With the moments full and broken it does not die:
// SCRY_CRASH_TIMES calls from that one on fail, with ENOSPC (the first write half-way) or EIO.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NOTHING, BEFORE, AFTER, TORN, FULL, BROKEN };

static atomic_long count, halved, said;

static int is(const char *name, const char *value) {
    const char *set = getenv(name);
    return set && strcmp(set, value) == 0;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static int moment(const char *call, const char *path) {
    const char *below = getenv("SCRY_CRASH_BELOW"), *number = getenv("SCRY_CRASH_NUMBER");
    if (!below || !number || !is("SCRY_CRASH_CALL", call) || !path || !strstr(path, below)) return NOTHING;
    const char *times = getenv("SCRY_CRASH_TIMES");
    long now = atomic_fetch_add(&count, 1) + 1, first = atol(number);
    if (now < first || now >= first + (times ? atol(times) : 1)) return NOTHING;
    if (is("SCRY_CRASH_MOMENT", "full")) return FULL;
    if (is("SCRY_CRASH_MOMENT", "broken")) return BROKEN;
    if (is("SCRY_CRASH_MOMENT", "before")) die();
    return is("SCRY_CRASH_MOMENT", "torn") ? TORN : AFTER;
}

static int fails(int now) {
    if (now != FULL && now != BROKEN) return 0;
    if (!atomic_exchange(&said, 1)) dprintf(2, "crash point: calls begin to fail\n");
    errno = now == FULL ? ENOSPC : EIO;
    return 1;
}

static int half(int now, size_t n) {
    return now == FULL && n > 1 && !atomic_exchange(&halved, 1);
}

static int moment_fd(const char *call, int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return NOTHING;
    path[length] = 0;
    return moment(call, path);
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)
#define DONE(result) do { if (now != NOTHING) die(); return result; } while (0)

ssize_t write(int fd, const void *bytes, size_t n) {
    REAL(ssize_t, write, int, const void *, size_t);
    int now = moment_fd("write", fd);
    if (half(now, n)) return real(fd, bytes, n / 2);
    if (fails(now)) return -1;
    ssize_t done = real(fd, bytes, now == TORN ? n / 2 : n);
    DONE(done);
}

ssize_t writev(int fd, const struct iovec *bytes, int n) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    int now = moment_fd("write", fd);
    if (fails(now)) return -1;
    ssize_t done = real(fd, bytes, now == TORN ? (n + 1) / 2 : n);
    DONE(done);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    int now = moment_fd("write", fd);
    if (half(now, n)) return real(fd, bytes, n / 2, at);
    if (fails(now)) return -1;
    ssize_t done = real(fd, bytes, now == TORN ? n / 2 : n, at);
    DONE(done);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    int now = moment_fd("write", fd);
    if (half(now, n)) return real(fd, bytes, n / 2, at);
    if (fails(now)) return -1;
    ssize_t done = real(fd, bytes, now == TORN ? n / 2 : n, at);
    DONE(done);
}

int fsync(int fd) {
    REAL(int, fsync, int);
    int now = moment_fd("sync", fd);
    if (fails(now)) return -1;
    int done = real(fd);
    DONE(done);
}

int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    int now = moment_fd("sync", fd);
    if (fails(now)) return -1;
    int done = real(fd);
    DONE(done);
}

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    int now = moment("rename", to);
    if (fails(now)) return -1;
    int done = real(from, to);
    DONE(done);
}

int link(const char *from, const char *to) {
    REAL(int, link, const char *, const char *);
    int now = moment("rename", to);
    if (fails(now)) return -1;
    int done = real(from, to);
    DONE(done);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    int now = moment("rename", to);
    if (fails(now)) return -1;
    int done = real(from_dir, from, to_dir, to, flags);
    DONE(done);
}

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    int now = moment("unlink", path);
    if (fails(now)) return -1;
    int done = real(path);
    DONE(done);
}

int unlinkat(int dir, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    int now = path[0] == '/' ? moment("unlink", path) : moment_fd("unlink", dir);
    if (fails(now)) return -1;
    int done = real(dir, path, flags);
    DONE(done);
}

int ftruncate(int fd, off_t length) {
    REAL(int, ftruncate, int, off_t);
    int now = moment_fd("truncate", fd);
    if (fails(now)) return -1;
    int done = real(fd, length);
    DONE(done);
}

int ftruncate64(int fd, off64_t length) {
    REAL(int, ftruncate64, int, off64_t);
    int now = moment_fd("truncate", fd);
    if (fails(now)) return -1;
    int done = real(fd, length);
    DONE(done);
}
