/* What a thread tells the kernel about itself. */
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "remora/base.h"

#define BACKGROUND_NICE 5 /* a quarter of a core beside a busy loop, all of it beside an idle one */

void rm_thread_background(void)
{
    /* Linux keeps a nice value for each thread. Where it is refused the thread is as urgent as the others. */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), BACKGROUND_NICE);
}
