/* How far apart one event reaches many callers of the same stream.
 *
 *     the target writes to caller 1, 2, … 1000     the kernel stamps each packet as it arrives
 *     this program reads   1, 2, … 1000            on one core, some microseconds each
 *
 * The moment of reading is the wrong clock: an event that reached a thousand sockets in one instant would be read over
 * several milliseconds here, and that time is this program's, not the target's. A thousand callers on machines of their
 * own would each see it when their own kernel got it. So each read asks for the kernel's stamp
 * (Documentation/networking/timestamping.rst, 1.3.1: SOF_TIMESTAMPING_RX_SOFTWARE, "request rx timestamps when data
 * enters the kernel", taken "just after a device driver hands a packet to the kernel receive stack"; for loopback that
 * is inside the writer's own system call). The lag by reading is reported beside it.
 *
 * TCP gives the stamp of the last byte that a read took. Where several events came by one read the earlier ones are
 * thus dated too late; how many they were is counted, as a leader dated too late would flatter its followers. */
#include <errno.h>
#include <time.h>
/* Needs struct timespec. */
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>

#include "load_internal.h"

#define CLOCK_TRIES 16

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Stamps are CLOCK_REALTIME, all else here is CLOCK_MONOTONIC; of some tries the one least disturbed. */
static int64_t realtime_ahead_ns(void)
{
    int64_t best_gap = INT64_MAX, ahead = 0;
    for (int i = 0; i < CLOCK_TRIES; i++) {
        int64_t before = clock_ns(CLOCK_MONOTONIC), real = clock_ns(CLOCK_REALTIME);
        int64_t gap = clock_ns(CLOCK_MONOTONIC) - before;
        if (gap < best_gap) {
            best_gap = gap;
            ahead = real - before - gap / 2;
        }
    }
    return ahead;
}

rm_status rm_load__lag_init(rm_load_lag *lag)
{
    *lag = (rm_load_lag){.realtime_ahead_ns = realtime_ahead_ns()};
    lag->first_read_ns = rm_calloc(RM_LOAD_LAG_EVENTS_MAX, sizeof(*lag->first_read_ns));
    lag->first_arrived_ns = rm_calloc(RM_LOAD_LAG_EVENTS_MAX, sizeof(*lag->first_arrived_ns));
    lag->sightings = rm_calloc(RM_LOAD_SIGHTINGS_MAX, sizeof(*lag->sightings));
    lag->on = lag->first_read_ns && lag->first_arrived_ns && lag->sightings;
    return lag->on ? RM_OK : RM_ENOMEM;
}

void rm_load__lag_deinit(rm_load_lag *lag)
{
    rm_free(lag->first_read_ns);
    rm_free(lag->first_arrived_ns);
    rm_free(lag->sightings);
    *lag = (rm_load_lag){0};
}

void rm_load__lag_ask_stamps(int fd)
{
    int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
    /* A kernel without them: the events count as unstamped. */
    (void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags));
}

static uint64_t stamp_of(const rm_load_lag *lag, struct msghdr *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        struct scm_timestamping stamps;
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPING ||
            part->cmsg_len < CMSG_LEN(sizeof(stamps)))
            continue;
        memcpy(&stamps, CMSG_DATA(part), sizeof(stamps));
        int64_t real_ns = (int64_t)stamps.ts[0].tv_sec * 1000000000 + stamps.ts[0].tv_nsec;
        return real_ns > lag->realtime_ahead_ns ? (uint64_t)(real_ns - lag->realtime_ahead_ns) : 0;
    }
    return 0;
}

ssize_t rm_load__lag_read(rm_load_lag *lag, int fd, char *bytes, size_t bytes_max)
{
    struct iovec piece;
    union {
        char bytes[CMSG_SPACE(sizeof(struct scm_timestamping))];
        struct cmsghdr align;
    } control;
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    piece.iov_base = bytes;
    piece.iov_len = bytes_max;
    ssize_t got = recvmsg(fd, &message, 0);
    lag->arrived_ns = 0;
    lag->events_in_read = 0;
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : uv_translate_sys_error(errno);
    lag->arrived_ns = stamp_of(lag, &message);
    return got == 0 ? UV_EOF : got;
}

void rm_load__lag_event(rm_load_conn *conn, uint64_t index, uint64_t now_ns)
{
    rm_load_lag *lag = &conn->run->lag;
    if (!lag->on || index >= RM_LOAD_LAG_EVENTS_MAX)
        return;
    uint64_t *first = &lag->first_read_ns[index];
    if (*first == 0)
        *first = now_ns;
    else if (*first <= conn->sent_ns)
        return; /* asked too late to have waited for it */
    else if (conn->record)
        hdr_record_value(conn->run->stats->lag_read, (int64_t)(now_ns - *first));
    if (lag->sighting_count == RM_LOAD_SIGHTINGS_MAX)
        return;
    lag->unstamped += lag->arrived_ns == 0;
    lag->shared += lag->events_in_read++ > 0;
    uint64_t arrived_ns = lag->arrived_ns ? lag->arrived_ns : now_ns;
    lag->sightings[lag->sighting_count++] =
        (rm_load_sighting){conn->sent_ns, arrived_ns, (uint32_t)index, conn->record};
    first = &lag->first_arrived_ns[index];
    if (*first == 0 || arrived_ns < *first)
        *first = arrived_ns;
}

/* Only now is the first arrival of each event known: the first to be read need not have come first. */
void rm_load__lag_settle(const rm_load_lag *lag, struct hdr_histogram *histogram)
{
    for (size_t i = 0; i < lag->sighting_count; i++) {
        const rm_load_sighting *one = &lag->sightings[i];
        uint64_t first_ns = lag->first_arrived_ns[one->event];
        if (one->record && one->arrived_ns > first_ns && first_ns > one->sent_ns)
            hdr_record_value(histogram, (int64_t)(one->arrived_ns - first_ns));
    }
}

static double share_of(const rm_load_lag *lag, uint64_t count)
{
    return lag->sighting_count > 0 ? (double)count / (double)lag->sighting_count : 0;
}

double rm_load__lag_stamped_share(const rm_load_lag *lag)
{
    return share_of(lag, lag->sighting_count - lag->unstamped);
}

double rm_load__lag_shared_share(const rm_load_lag *lag)
{
    return share_of(lag, lag->shared);
}
