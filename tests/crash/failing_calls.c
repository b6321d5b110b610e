/* Loaded before the C library (LD_PRELOAD): one kind of system call fails at its n-th use, once or from then on.
 * LUMOS_FAULT="pwrite|sync|allocate|resize number errno once|ever", LUMOS_FAULT_SHOWN=path of a file made when it does.
 * Knows nothing of Lumos; its seeds are chosen by tests/crash/src/kill.rs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char kind[16], mode[8];
static long number, error_number;
static long used;

__attribute__((constructor)) static void begin(void) {
    const char *plan = getenv("LUMOS_FAULT");
    if (!plan || sscanf(plan, "%15s %ld %ld %7s", kind, &number, &error_number, mode) != 4) kind[0] = 0;
}

static int fails(const char *call) {
    if (strcmp(kind, call) != 0) return 0;
    long now = __atomic_add_fetch(&used, 1, __ATOMIC_SEQ_CST);
    if (now < number || (now > number && strcmp(mode, "ever") != 0)) return 0;
    const char *shown = getenv("LUMOS_FAULT_SHOWN");
    int file = shown ? open(shown, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) : -1;
    if (file >= 0) close(file);
    errno = (int)error_number;
    return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    if (!fails("pwrite")) return NEXT(pwrite64)(fd, bytes, count, at);
    /* What fails has got half of the way. */
    if (count > 1) {
        ssize_t half = NEXT(pwrite64)(fd, bytes, count / 2, at);
        (void)half;
    }
    errno = (int)error_number;
    return -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return pwrite64(fd, bytes, count, at); }

int fdatasync(int fd) { return fails("sync") ? -1 : NEXT(fdatasync)(fd); }
int fsync(int fd) { return fails("sync") ? -1 : NEXT(fsync)(fd); }
int fallocate(int fd, int how, off_t at, off_t count) {
    return fails("allocate") ? -1 : NEXT(fallocate)(fd, how, at, count);
}
int fallocate64(int fd, int how, off64_t at, off64_t count) {
    return fails("allocate") ? -1 : NEXT(fallocate64)(fd, how, at, count);
}
int ftruncate64(int fd, off64_t size) { return fails("resize") ? -1 : NEXT(ftruncate64)(fd, size); }
int ftruncate(int fd, off_t size) { return fails("resize") ? -1 : NEXT(ftruncate)(fd, size); }
