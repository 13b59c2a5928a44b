/* A disk that fails on demand, for the calls of every library of a process: cc -shared -fPIC -o faults.so faults.c -ldl

   Loaded with LD_PRELOAD, see failing_disk.py. It counts the calls that write to files under one folder, by kind,
   and lets the k-th of a kind fail. The counts lie in memory that children of fork share. Calls on other paths,
   reads, sockets and pipes are neither counted nor touched. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE, SYNC, RENAME, OPEN, SIZE, CLOSE, KINDS };
#define SHORT_WRITE (-1)
#define FIRST_SIGNAL (-100) /* -100 - n: signal n comes just before the call, which is then done */

struct state {
    atomic_long counts[KINDS]; /* calls so far */
    long kind, at;             /* which call fails, the first being 0; at < 0: none */
    int code;                  /* errno, SHORT_WRITE, or FIRST_SIGNAL - n */
    int lasting;               /* whether the calls after it fail, too */
    atomic_long hits;          /* calls that failed */
    char folder[PATH_MAX];     /* only files below it; empty: none */
};
static struct state *state;

__attribute__((constructor)) static void begin(void) {
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (state == MAP_FAILED) abort();
    state->at = -1;
}

/* Called by way of ctypes. */
void faults_watch(const char *folder) {
    for (int kind = 0; kind < KINDS; kind++) atomic_store(&state->counts[kind], 0);
    atomic_store(&state->hits, 0);
    snprintf(state->folder, sizeof state->folder, "%s", folder);
}
void faults_arm(long kind, long at, int code, int lasting) {
    state->kind = kind, state->at = at, state->code = code, state->lasting = lasting;
}
long faults_count(long kind) { return atomic_load(&state->counts[kind]); }
long faults_hits(void) { return atomic_load(&state->hits); }

#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name); real; })

static int below(const char *path) {
    size_t length = strlen(state->folder);
    return length && !strncmp(path, state->folder, length) && path[length] == '/';
}

static int watched_fd(int fd) {
    char link[32], path[PATH_MAX];
    if (!state || !state->folder[0]) return 0;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static int watched_path(int folder, const char *path) {
    char full[2 * PATH_MAX], link[32], at[PATH_MAX] = "";
    if (!state || !state->folder[0] || !path) return 0;
    if (path[0] == '/') return below(path);
    int before = errno;
    if (folder == AT_FDCWD) {
        if (!getcwd(at, sizeof at)) at[0] = 0;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, at, sizeof at - 1);
        at[length < 0 ? 0 : length] = 0;
    }
    errno = before;
    snprintf(full, sizeof full, "%s/%s", at, path);
    return below(full);
}

/* The fault that a call of a kind meets, 0 if none. */
static int fault(long kind) {
    long number = atomic_fetch_add(&state->counts[kind], 1);
    if (state->at < 0) return 0;
    int lasts = state->lasting && atomic_load(&state->hits) > 0 && (kind == WRITE || kind == OPEN || kind == SIZE);
    if (!lasts && !(kind == state->kind && number == state->at)) return 0;
    atomic_fetch_add(&state->hits, 1);
    if (state->code < FIRST_SIGNAL) return kill(getpid(), FIRST_SIGNAL - state->code), 0;
    return state->code;
}

static int fails(long kind) {
    int code = fault(kind);
    if (code > 0) errno = code;
    return code > 0;
}

/* Bytes to write, of so many; negative where the call fails. */
static ssize_t allowed(int fd, size_t size) {
    if (!watched_fd(fd)) return size;
    int code = fault(WRITE);
    if (code == SHORT_WRITE) return size > 1 ? size / 2 : size;
    if (code) return errno = code, -1;
    return size;
}

#define WRITES(name, parameters, arguments)                    \
    ssize_t name parameters {                                  \
        ssize_t n = allowed(fd, size);                         \
        return n < 0 ? -1 : REAL(name) arguments;              \
    }
WRITES(write, (int fd, const void *from, size_t size), (fd, from, n))
WRITES(pwrite, (int fd, const void *from, size_t size, off_t at), (fd, from, n, at))
WRITES(pwrite64, (int fd, const void *from, size_t size, off64_t at), (fd, from, n, at))
WRITES(sendfile, (int fd, int in, off_t *at, size_t size), (fd, in, at, n))
WRITES(sendfile64, (int fd, int in, off64_t *at, size_t size), (fd, in, at, n))
ssize_t copy_file_range(int in, off64_t *at, int fd, off64_t *to, size_t size, unsigned flags) {
    ssize_t n = allowed(fd, size);
    return n < 0 ? -1 : REAL(copy_file_range)(in, at, fd, to, n, flags);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    size_t size = 0;
    for (int i = 0; i < count; i++) size += parts[i].iov_len;
    ssize_t n = allowed(fd, size);
    if (n < 0) return -1;
    if ((size_t)n == size) return REAL(writev)(fd, parts, count);
    for (int i = 0; i < count; i++) /* a short write ends within the first part that has anything */
        if (parts[i].iov_len) return REAL(write)(fd, parts[i].iov_base, (parts[i].iov_len + 1) / 2);
    return 0;
}

/* The C library's own streams don't call the above: a fault sets the stream's error by writing nothing. */
size_t fwrite(const void *from, size_t size, size_t count, FILE *file) {
    if (size && count && watched_fd(fileno(file))) {
        int code = fault(WRITE);
        if (code > 0) return errno = code, 0;
        if (code == SHORT_WRITE) return REAL(fwrite)(from, size, count > 1 ? count / 2 : count, file);
    }
    return REAL(fwrite)(from, size, count, file);
}

int fsync(int fd) { return watched_fd(fd) && fails(SYNC) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return watched_fd(fd) && fails(SYNC) ? -1 : REAL(fdatasync)(fd); }

int rename(const char *from, const char *to) {
    return watched_path(AT_FDCWD, to) && fails(RENAME) ? -1 : REAL(rename)(from, to);
}
int renameat(int a, const char *from, int b, const char *to) {
    return watched_path(b, to) && fails(RENAME) ? -1 : REAL(renameat)(a, from, b, to);
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    return watched_path(b, to) && fails(RENAME) ? -1 : REAL(renameat2)(a, from, b, to, flags);
}

static int opens(int folder, const char *path, int flags) {
    return (flags & (O_WRONLY | O_RDWR | O_CREAT)) && watched_path(folder, path) && fails(OPEN);
}
#define MODE                                         \
    mode_t mode = 0;                                 \
    if (flags & (O_CREAT | O_TMPFILE)) {             \
        va_list rest;                                \
        va_start(rest, flags);                       \
        mode = va_arg(rest, mode_t);                 \
        va_end(rest);                                \
    }
int open(const char *path, int flags, ...) { MODE return opens(AT_FDCWD, path, flags) ? -1 : REAL(open)(path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return opens(AT_FDCWD, path, flags) ? -1 : REAL(open64)(path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE return opens(at, path, flags) ? -1 : REAL(openat)(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE return opens(at, path, flags) ? -1 : REAL(openat64)(at, path, flags, mode); }
static int writes(const char *mode) { return strpbrk(mode, "wa+") ? O_WRONLY : O_RDONLY; }
FILE *fopen(const char *path, const char *mode) { return opens(AT_FDCWD, path, writes(mode)) ? NULL : REAL(fopen)(path, mode); }
FILE *fopen64(const char *path, const char *mode) { return opens(AT_FDCWD, path, writes(mode)) ? NULL : REAL(fopen64)(path, mode); }

int ftruncate(int fd, off_t size) { return watched_fd(fd) && fails(SIZE) ? -1 : REAL(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) { return watched_fd(fd) && fails(SIZE) ? -1 : REAL(ftruncate64)(fd, size); }
int posix_fallocate(int fd, off_t at, off_t size) {
    int code = watched_fd(fd) ? fault(SIZE) : 0; /* it gives the error, and leaves errno alone */
    return code > 0 ? code : REAL(posix_fallocate)(fd, at, size);
}
int posix_fallocate64(int fd, off64_t at, off64_t size) {
    int code = watched_fd(fd) ? fault(SIZE) : 0;
    return code > 0 ? code : REAL(posix_fallocate64)(fd, at, size);
}

static int open_for_writing(int fd) {
    int before = errno, flags = fcntl(fd, F_GETFL);
    errno = before;
    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}
int close(int fd) {
    if (!watched_fd(fd) || !open_for_writing(fd)) return REAL(close)(fd);
    int code = fault(CLOSE);
    int done = REAL(close)(fd); /* as Linux does: closed, whatever it says */
    return code > 0 ? (errno = code, -1) : done;
}
