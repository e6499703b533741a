/* The knife of the kill sweep: a library that a program under test is started with (LD_PRELOAD).
 *
 * It counts the calls that change something outside of the program - writes to named files, lines and sockets, syncs,
 * truncations, removals - and cuts at the N-th: the process is killed before, in the middle of or after it, or the call fails
 * with an I/O error. Counted for the whole process, not for each thread, so N names one place in a run.
 *
 *   TOLEM_CUT_WATCH  journal=/path/prefix;acceptor=/dev/pts/3;center=inet    what is counted, under which name; the first that fits
 *                    inet:8583 is the connections to that port of others
 *   TOLEM_CUT        journal.write 17 kill                                   where to cut: name.call or "any", N, how
 *                    kill | after | half | eio | eio-kept | stall (four seconds, then as usual)
 *   TOLEM_CUT_LOG    file; one line for each counted call: name.call N size path, and CUT where it was cut
 *
 * No environment, no effect. Built by the tests with the system's C compiler.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum how { NOTHING, KILL, AFTER, HALF, EIO_LOST, EIO_KEPT, STALL };
enum call { WRITE, SYNC, CALLS };
static const char *const call_names[CALLS] = { "write", "sync" };

enum { MOST = 8, NAME = 32, PLACE = 256 };
static struct watched {
    char name[NAME], place[PLACE];
    unsigned count[CALLS];
} watched[MOST];
static int watching;
static unsigned all;

static char cut_at[2 * NAME];
static unsigned cut_number;
static enum how cut_how;
static int log_fd = -1;

static enum how read_how(const char *word)
{
    static const char *const names[] = { "", "kill", "after", "half", "eio", "eio-kept", "stall" };
    for (int how = KILL; how <= STALL; how++)
        if (!strcmp(word, names[how]))
            return how;
    fprintf(stderr, "TOLEM_CUT: how? %s\n", word);
    abort();
}

__attribute__((constructor)) static void begin(void)
{
    const char *watch = getenv("TOLEM_CUT_WATCH"), *cut = getenv("TOLEM_CUT"), *log = getenv("TOLEM_CUT_LOG");
    while (watch && *watch && watching < MOST) {
        struct watched *w = &watched[watching];
        if (sscanf(watch, "%31[^=]=%255[^;]", w->name, w->place) == 2)
            watching++;
        watch = strchr(watch, ';');
        watch = watch ? watch + 1 : NULL;
    }
    if (cut) {
        char how[16];
        if (sscanf(cut, "%63s %u %15s", cut_at, &cut_number, how) != 3) {
            fprintf(stderr, "TOLEM_CUT: NAME.CALL N HOW, not %s\n", cut);
            abort();
        }
        cut_how = read_how(how);
    }
    if (log)
        log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void die(void)
{
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Where a descriptor leads: a path, or "inet:PORT" for a network socket, with the port of the other side, if there is one. */
static void place_of(int fd, char *place)
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, place, PLACE - 1);
    place[length > 0 ? length : 0] = 0;
    if (!strncmp(place, "socket:", 7)) {
        struct sockaddr_storage name;
        socklen_t size = sizeof name;
        if (getsockname(fd, (struct sockaddr *)&name, &size) || (name.ss_family != AF_INET && name.ss_family != AF_INET6))
            return;
        size = sizeof name;
        if (getpeername(fd, (struct sockaddr *)&name, &size))
            strcpy(place, "inet");
        else if (name.ss_family == AF_INET)
            snprintf(place, PLACE, "inet:%u", ntohs(((struct sockaddr_in *)&name)->sin_port));
        else
            snprintf(place, PLACE, "inet:%u", ntohs(((struct sockaddr_in6 *)&name)->sin6_port));
    }
}

static enum how reached_place(const char *place, enum call call, size_t size)
{
    int kept = errno;
    enum how how = NOTHING;
    for (int i = 0; i < watching; i++) {
        struct watched *w = &watched[i];
        size_t length = strlen(w->place);
        /* /dev/pts/3 is not the beginning of /dev/pts/30. */
        if (strncmp(place, w->place, length) || (place[length] >= '0' && place[length] <= '9'))
            continue;
        unsigned number = __atomic_add_fetch(&w->count[call], 1, __ATOMIC_SEQ_CST);
        unsigned of_all = __atomic_add_fetch(&all, 1, __ATOMIC_SEQ_CST);
        char what[2 * NAME], line[2 * PLACE];
        snprintf(what, sizeof what, "%s.%s", w->name, call_names[call]);
        int here = cut_how && ((!strcmp(cut_at, what) && number == cut_number) || (!strcmp(cut_at, "any") && of_all == cut_number));
        if (log_fd >= 0) {
            int written = snprintf(line, sizeof line, "%s %u %zu %s%s\n", what, number, size, place, here ? " CUT" : "");
            /* A call of its own, so that a tracer can tell it from the program's. */
            struct iovec whole = { line, (size_t)written };
            syscall(SYS_pwritev2, log_fd, &whole, 1L, -1L, -1L, 0L);
        }
        if (here)
            how = cut_how;
        break;
    }
    if (how == KILL)
        die();
    if (how == STALL) {
        struct timespec rest = { 4, 0 };
        while (nanosleep(&rest, &rest) && errno == EINTR)
            ;
        how = NOTHING;
    }
    errno = kept;
    return how;
}

static enum how reached(int fd, enum call call, size_t size)
{
    if (!watching)
        return NOTHING;
    char place[PLACE];
    int kept = errno;
    place_of(fd, place);
    errno = kept;
    return reached_place(place, call, size);
}

/* Half of the first part, past the counting. */
static ssize_t write_half(int fd, const struct iovec *parts)
{
    return syscall(SYS_write, fd, parts[0].iov_base, parts[0].iov_len / 2);
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* Carries a call out as the knife wants it. `whole` and `half` are expressions. */
#define CUT(how, whole, half)                  \
    switch (how) {                             \
    case NOTHING: case STALL: return whole;               \
    case EIO_LOST: errno = EIO; return -1;     \
    case HALF: (void)!half; die(); break;      \
    case KILL: case AFTER: (void)!whole; die(); break; \
    case EIO_KEPT: (void)!whole; break;        \
    }                                          \
    errno = EIO;                               \
    return -1

ssize_t write(int fd, const void *bytes, size_t size)
{
    REAL(write);
    CUT(reached(fd, WRITE, size), real(fd, bytes, size), real(fd, bytes, size / 2));
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(writev);
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    CUT(reached(fd, WRITE, size), real(fd, parts, count), write_half(fd, parts));
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    REAL(pwrite);
    CUT(reached(fd, WRITE, size), real(fd, bytes, size, at), real(fd, bytes, size / 2, at));
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    REAL(pwrite64);
    CUT(reached(fd, WRITE, size), real(fd, bytes, size, at), real(fd, bytes, size / 2, at));
}

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    REAL(send);
    CUT(reached(fd, WRITE, size), real(fd, bytes, size, flags), real(fd, bytes, size / 2, flags));
}

ssize_t sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t length)
{
    REAL(sendto);
    CUT(reached(fd, WRITE, size), real(fd, bytes, size, flags, to, length), real(fd, bytes, size / 2, flags, to, length));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    REAL(sendmsg);
    CUT(reached(fd, WRITE, 0), real(fd, message, flags), 0);
}

int fsync(int fd)
{
    REAL(fsync);
    CUT(reached(fd, SYNC, 0), real(fd), 0);
}

int fdatasync(int fd)
{
    REAL(fdatasync);
    CUT(reached(fd, SYNC, 0), real(fd), 0);
}

int ftruncate(int fd, off_t size)
{
    REAL(ftruncate);
    CUT(reached(fd, WRITE, 0), real(fd, size), 0);
}

int ftruncate64(int fd, off64_t size)
{
    REAL(ftruncate64);
    CUT(reached(fd, WRITE, 0), real(fd, size), 0);
}

int unlink(const char *path)
{
    REAL(unlink);
    CUT(reached_place(path, WRITE, 0), real(path), 0);
}

int rename(const char *from, const char *to)
{
    REAL(rename);
    CUT(reached_place(to, WRITE, 0), real(from, to), 0);
}
