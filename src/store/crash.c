/* Damage that LMDB does not notice: it follows a wild page number or length out of the map, or the disk cannot read a
 * page of it. Both arrive as SIGSEGV or SIGBUS in the thread that looked.
 *
 * A reader holds nothing but its own slot, so it leaves by its guard, the lookup is a miss and the cache is given up until
 * the next start. The writer may have spoilt memory already: it leaves the mark that has the cache set aside at the next
 * start, and dies as it would have. A fault anywhere else is none of this module's business.
 *
 * Handlers are installed once, and only where nobody (a sanitizer, the program) has installed others. */
#include "store_internal.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static char mark_path[PATH_MAX];

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    if (rm_store__guard && rm_store__reading)
        longjmp(*rm_store__guard, 1); /* SA_NODEFER: the signal is not blocked there */
    if (rm_store__guard && mark_path[0]) {
        int fd = open(mark_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0)
            close(fd);
    }
    signal(number, SIG_DFL);
    raise(number);
}

void rm_store__crash_watch(const rm_store__env *env, bool read_only)
{
    static const int signals[] = {SIGSEGV, SIGBUS};
    int bytes = snprintf(mark_path, sizeof(mark_path), "%s/damaged", env->path);
    if (read_only || bytes < 0 || (size_t)bytes >= sizeof(mark_path))
        mark_path[0] = '\0';
    for (size_t i = 0; i < RM_COUNT(signals); i++) {
        struct sigaction now, ours = {.sa_flags = SA_SIGINFO | SA_NODEFER};
        ours.sa_sigaction = on_fault;
        sigemptyset(&ours.sa_mask);
        if (!sigaction(signals[i], NULL, &now) && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL)
            sigaction(signals[i], &ours, NULL);
    }
}
