/* Fails the n-th call of one operation (or of several, joined by +) on paths below one folder, once or from then on.
 *
 * The plan is a line in the file $INJECT_PLAN: OPERATION N ERRNO SHORT STEADY FOLDER. It is read again whenever the
 * program calls inject_plan(), so that children forked from one warm parent each follow their own. What happened is
 * counted in the file $INJECT_PLAN.seen, which every process of the program maps: calls that the plan is about, calls
 * that failed, and the calls of each operation in the order of NAMES. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *const NAMES[] = {"write", "fsync", "rename", "link", "remove", "create", "ftruncate", "mkdir"};
enum { KINDS = sizeof NAMES / sizeof *NAMES };
static char operation[64], folder[PATH_MAX];
static int after = -1, code, cut, steady;
static atomic_int *seen;

void inject_plan(void) {
    const char *name = getenv("INJECT_PLAN");
    char counted[PATH_MAX];
    char wanted[sizeof operation];
    operation[0] = 0;
    FILE *file = name ? fopen(name, "r") : NULL;
    if (!file) return;
    if (fscanf(file, "%63s %d %d %d %d %4095[^\n]", wanted, &after, &code, &cut, &steady, folder) != 6) abort();
    fclose(file);
    memmove(folder, folder + strspn(folder, " "), strlen(folder + strspn(folder, " ")) + 1);
    snprintf(counted, sizeof counted, "%s.seen", name);
    int fd = open(counted, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, (2 + KINDS) * sizeof *seen)) abort();
    seen = mmap(NULL, (2 + KINDS) * sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    strcpy(operation, wanted);
}

/* Whether this call is to fail. A path that is not absolute is below nothing here: the store's are. */
static int due(const char *name, const char *path) {
    if (!operation[0] || strncmp(path, folder, strlen(folder))) return 0;
    for (int i = 0; i < KINDS; i++)
        if (!strcmp(NAMES[i], name)) atomic_fetch_add(&seen[2 + i], 1);
    if (!strstr(operation, name)) return 0;
    int n = atomic_fetch_add(&seen[0], 1);
    if (!(n == after || (steady && n > after))) return 0;
    atomic_fetch_add(&seen[1], 1);
    errno = code;
    return 1;
}

static int due_fd(const char *name, int fd) {
    char link[64], path[PATH_MAX];
    if (!operation[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return due(name, path);
}

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, #name)

/* A short write is half of it; a caller who asks for the rest makes a call of its own. */
ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t);
    if (!due_fd("write", fd)) return real(fd, data, size);
    return cut ? real(fd, data, (size + 1) / 2) : -1;
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    if (!due_fd("write", fd)) return real(fd, data, size, at);
    return cut ? real(fd, data, (size + 1) / 2, at) : -1;
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    if (!due_fd("write", fd)) return real(fd, parts, count);
    return cut ? write(fd, parts[0].iov_base, (parts[0].iov_len + 1) / 2) : -1;
}
int fsync(int fd) { REAL(int, fsync, int); return due_fd("fsync", fd) ? -1 : real(fd); }
int fdatasync(int fd) { REAL(int, fdatasync, int); return due_fd("fsync", fd) ? -1 : real(fd); }
int ftruncate64(int fd, off64_t size) {
    REAL(int, ftruncate64, int, off64_t);
    return due_fd("ftruncate", fd) ? -1 : real(fd, size);
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    return due("rename", to) ? -1 : real(from, to);
}
int renameat(int a, const char *from, int b, const char *to) {
    REAL(int, renameat, int, const char *, int, const char *);
    return due("rename", to) ? -1 : real(a, from, b, to);
}
int link(const char *from, const char *to) {
    REAL(int, link, const char *, const char *);
    return due("link", to) ? -1 : real(from, to);
}
int linkat(int a, const char *from, int b, const char *to, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    return due("link", to) ? -1 : real(a, from, b, to, flags);
}
int unlink(const char *path) { REAL(int, unlink, const char *); return due("remove", path) ? -1 : real(path); }
int unlinkat(int at, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    return due("remove", path) ? -1 : real(at, path, flags);
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    return due("mkdir", path) ? -1 : real(path, mode);
}
int open64(const char *path, int flags, ...) {
    REAL(int, open64, const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return flags & O_CREAT && due("create", path) ? -1 : real(path, flags, mode);
}
int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open64(path, flags, mode);
}
