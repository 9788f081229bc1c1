// Preloaded into scry under test: kills the process at the n-th call of a kind on files below a folder, as a crash does.
// SCRY_CRASH_CALL is write, sync, rename, unlink or truncate; SCRY_CRASH_MOMENT before, after or torn (half of a write);
// SCRY_CRASH_NUMBER counts from 1; SCRY_CRASH_BELOW is a part of the path. With the moments full and broken it does not die:
// SCRY_CRASH_TIMES calls from that one on fail, with ENOSPC (the first write half-way) or EIO. With the moment power it dies
// behind the call, and takes along what a machine without power may lose of auth's and the node's files: bytes behind their
// last fsync, and new files and names whose folder had none since.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/syscall.h>
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

static int power(void) {
    static int known = -1;
    if (known < 0) known = is("SCRY_CRASH_MOMENT", "power");
    return known;
}

// A file that was written, and what of it survives. Calls on such files take turns, so that none is under way at the end.
struct file {
    int used, fresh;
    char path[512], was[512];
    off_t synced;
};
static struct file files[4096];
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static struct file *find(const char *path) {
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i].used && strcmp(files[i].path, path) == 0) return &files[i];
    return NULL;
}

static int below(const char *path, const char *folder) {
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/' && !strchr(path + n + 1, '/');
}

static void lose_power(void) {
    long cut = 0, gone = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct file *file = &files[i];
        struct stat now;
        if (!file->used || stat(file->path, &now) < 0) continue;
        if (file->was[0]) {
            if (syscall(SYS_rename, file->path, file->was) == 0) strcpy(file->path, file->was);
        }
        if (file->fresh) {
            gone += syscall(SYS_unlink, file->path) == 0;
        } else if (now.st_size > file->synced) {
            cut += truncate(file->path, file->synced) == 0;
        }
    }
    dprintf(2, "crash point: no power; %ld files cut, %ld gone\n", cut, gone);
}

static int takes_turn(const char *path) {
    char folder[4096];
    if (!power() || snprintf(folder, sizeof folder, "%s/", path) < 0) return 0;
    if ((!strstr(folder, "/auth/") && !strstr(folder, "/node/")) || strstr(path, "-shm")) return 0;
    pthread_mutex_lock(&turn);
    return 1;
}

static void note(const char *path, int fd, int fresh) {
    struct stat now;
    if (find(path) || strlen(path) >= sizeof files->path || fstat(fd, &now) < 0 || !S_ISREG(now.st_mode)) return;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (files[i].used) continue;
        files[i] = (struct file){.used = 1, .fresh = fresh, .synced = now.st_size};
        strcpy(files[i].path, path);
        return;
    }
    dprintf(2, "crash point: too many files\n");
    abort();
}

static void note_synced(const char *path, int fd) {
    struct stat now;
    if (fstat(fd, &now) < 0) return;
    struct file *file = find(path);
    if (file) file->synced = now.st_size;
    for (size_t i = 0; S_ISDIR(now.st_mode) && i < sizeof files / sizeof *files; i++)
        if (files[i].used && below(files[i].path, path)) files[i].fresh = 0, files[i].was[0] = 0;
}

static void note_renamed(const char *from, const char *to, int replaces) {
    struct file *file = find(from), *old = find(to);
    if (old) old->used = 0;
    if (!file || strlen(to) >= sizeof file->path) return;
    if (!replaces && !file->was[0]) strcpy(file->was, from);
    strcpy(file->path, to);
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

static int path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    path[length < 0 ? 0 : length] = 0;
    return length >= 0;
}

static int moment_fd(const char *call, int fd) {
    char path[4096];
    return path_of(fd, path, sizeof path) ? moment(call, path) : NOTHING;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)
// `turns`: whether this call is on a file that may lose something.
#define TURN(fd) \
    char path[4096]; \
    int turns = power() && path_of(fd, path, sizeof path) && takes_turn(path)
#define DONE(result) do { \
        if (now != NOTHING) { \
            if (power()) lose_power(); \
            die(); \
        } \
        if (turns) pthread_mutex_unlock(&turn); \
        return result; \
    } while (0)

static int opened(int (*real)(const char *, int, mode_t), const char *path, int flags, mode_t mode) {
    int creates = flags & O_CREAT && power() && access(path, F_OK) < 0;
    int turns = creates && takes_turn(path), fd = real(path, flags, mode);
    if (turns && fd >= 0) note(path, fd, 1);
    if (turns) pthread_mutex_unlock(&turn);
    return fd;
}

#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, name, const char *, int, mode_t); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        return opened(real, path, flags, mode); \
    }
OPENS(open)
OPENS(open64)

ssize_t write(int fd, const void *bytes, size_t n) {
    REAL(ssize_t, write, int, const void *, size_t);
    TURN(fd);
    if (turns) note(path, fd, 0);
    int now = moment_fd("write", fd);
    if (half(now, n)) return real(fd, bytes, n / 2);
    if (fails(now)) return -1;
    ssize_t done = real(fd, bytes, now == TORN ? n / 2 : n);
    DONE(done);
}

ssize_t writev(int fd, const struct iovec *bytes, int n) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    TURN(fd);
    if (turns) note(path, fd, 0);
    int now = moment_fd("write", fd);
    if (fails(now)) return -1;
    ssize_t done = real(fd, bytes, now == TORN ? (n + 1) / 2 : n);
    DONE(done);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    TURN(fd);
    if (turns) note(path, fd, 0);
    int now = moment_fd("write", fd);
    if (half(now, n)) return real(fd, bytes, n / 2, at);
    if (fails(now)) return -1;
    ssize_t done = real(fd, bytes, now == TORN ? n / 2 : n, at);
    DONE(done);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    TURN(fd);
    if (turns) note(path, fd, 0);
    int now = moment_fd("write", fd);
    if (half(now, n)) return real(fd, bytes, n / 2, at);
    if (fails(now)) return -1;
    ssize_t done = real(fd, bytes, now == TORN ? n / 2 : n, at);
    DONE(done);
}

int fsync(int fd) {
    REAL(int, fsync, int);
    TURN(fd);
    int now = moment_fd("sync", fd);
    if (fails(now)) return -1;
    int done = real(fd);
    if (turns && done == 0) note_synced(path, fd);
    DONE(done);
}

int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    TURN(fd);
    int now = moment_fd("sync", fd);
    if (fails(now)) return -1;
    int done = real(fd);
    if (turns && done == 0) note_synced(path, fd);
    DONE(done);
}

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    int turns = takes_turn(to), replaces = access(to, F_OK) == 0;
    int now = moment("rename", to);
    if (fails(now)) return -1;
    int done = real(from, to);
    if (turns && done == 0) note_renamed(from, to, replaces);
    DONE(done);
}

int link(const char *from, const char *to) {
    REAL(int, link, const char *, const char *);
    int turns = takes_turn(to), replaces = access(to, F_OK) == 0;
    int now = moment("rename", to);
    if (fails(now)) return -1;
    int done = real(from, to);
    if (turns && done == 0) note_renamed(from, to, replaces);
    DONE(done);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    int turns = 0, now = moment("rename", to);
    if (fails(now)) return -1;
    int done = real(from_dir, from, to_dir, to, flags);
    DONE(done);
}

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    int turns = takes_turn(path), now = moment("unlink", path);
    if (fails(now)) return -1;
    int done = real(path);
    if (turns && done == 0 && find(path)) find(path)->used = 0;
    DONE(done);
}

int unlinkat(int dir, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    int turns = 0;
    int now = path[0] == '/' ? moment("unlink", path) : moment_fd("unlink", dir);
    if (fails(now)) return -1;
    int done = real(dir, path, flags);
    DONE(done);
}

int ftruncate(int fd, off_t length) {
    REAL(int, ftruncate, int, off_t);
    TURN(fd);
    struct file *file = turns ? find(path) : NULL;
    int now = moment_fd("truncate", fd);
    if (fails(now)) return -1;
    int done = real(fd, length);
    if (file && done == 0 && length < file->synced) file->synced = length;
    DONE(done);
}

int ftruncate64(int fd, off64_t length) {
    REAL(int, ftruncate64, int, off64_t);
    TURN(fd);
    struct file *file = turns ? find(path) : NULL;
    int now = moment_fd("truncate", fd);
    if (fails(now)) return -1;
    int done = real(fd, length);
    if (file && done == 0 && length < file->synced) file->synced = length;
    DONE(done);
}
