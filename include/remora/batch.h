/* L3: merging in flight. A flight is one upstream answer on its way and everybody who waits for it, on any loop.
 *
 * Publisher side: one thread (where the upstream call runs). Subscriber side: each on its own executor's thread. The
 * flight's log is a list of shared blobs; a subscriber is a cursor in it, so a slow one costs no copy and slows nobody:
 * once what it has not read exceeds bytes_max it is cut off (RM_ETOOBIG). The publisher is paused while even the
 * fastest is RM_WRITE_HIGH_BYTES behind. */
#ifndef REMORA_BATCH_H
#define REMORA_BATCH_H

#include "remora/base.h"

typedef struct rm_flights rm_flights; /* the table of all flights; any thread */
typedef struct rm_flight rm_flight;

rm_flights *rm_flights_create(void); /* NULL: no memory */
void rm_flights_destroy(rm_flights *flights); /* when no flight is left */
void rm_flights_count(rm_flights *flights, uint64_t *ret_flights, uint64_t *ret_followers);

/* ---- publisher -------------------------------------------------------------------------------------------------------- */

typedef struct rm_flight_publisher {
    rm_exec *exec;
    void (*on_abandoned)(void *user); /* on exec: the last subscriber left; the publisher should cancel and end */
    void (*on_demand)(void *user);    /* on exec: somebody read; resume a paused source */
    void *user;
} rm_flight_publisher;

/* Makes a flight with one reference for the publisher (given back by rm_flight_end). With `key` it can be joined until
 * it ends or its log outgrows bytes_max; NULL: nobody joins, and what was read is freed at once. RM_ENOMEM.
 * If a flight of that key is there already, RM_EBUSY. */
rm_status rm_flight_create(rm_flights *flights, const rm_key128 *key, rm_slice canonical, size_t bytes_max,
                           const rm_flight_publisher *publisher, rm_flight **ret_flight) RM_WARN_UNUSED;
/* Gives the flight a head (any bytes that the publisher and its subscribers agree on) and wakes the subscribers. */
void rm_flight_set_head(rm_flight *flight, rm_blob *head);
/* Appends to the log (takes over the reference). False: nobody has read for so long that the source should pause until
 * on_demand. */
bool rm_flight_push(rm_flight *flight, rm_blob *chunk);
/* No more comes. `status` RM_OK: whole. `trailer` (may be NULL, reference taken over) is what subscribers may read at
 * the end. The publisher's callbacks do not run after this returns. Publisher's thread. */
void rm_flight_end(rm_flight *flight, rm_status status, rm_blob *trailer);
/* No further joins (the answer is not one to share); those aboard stay. */
void rm_flight_seal(rm_flight *flight);

/* ---- subscriber -------------------------------------------------------------------------------------------------------- */

typedef struct rm_subscriber {
    /* Set by the caller before joining. */
    rm_exec *exec;
    void (*on_ready)(struct rm_subscriber *subscriber); /* on exec, never inside a flight call: something changed */
    /* Private. */
    rm_flight *flight;
    rm_link link;
    rm_task task;
    size_t unread_bytes;
    struct rm_flight_chunk *cursor;
    bool posted, cut, left;
} rm_subscriber;

/* Joins the flight of this key whose canonical bytes are equal. *ret_ordinal: 1 for the second subscriber, and so on.
 * RM_ENOTFOUND; RM_EBUSY: it takes no more. */
rm_status rm_flight_join(rm_flights *flights, rm_key128 key, rm_slice canonical, rm_subscriber *subscriber,
                         unsigned *ret_ordinal) RM_WARN_UNUSED;
/* The first subscriber, by the flight's maker, before anything is pushed. */
void rm_flight_join_first(rm_flight *flight, rm_subscriber *subscriber);

typedef enum rm_flight_read {
    RM_FLIGHT_WAIT = 0, /* nothing yet; on_ready will come */
    RM_FLIGHT_CHUNK,
    RM_FLIGHT_END,      /* all was read; status and trailer are set */
    RM_FLIGHT_CUT       /* this one was too slow */
} rm_flight_read;

rm_blob *rm_flight_head(rm_subscriber *subscriber); /* NULL: none yet; stays valid while subscribed */
/* Next chunk; the caller unrefs it. */
rm_flight_read rm_flight_next(rm_subscriber *subscriber, rm_blob **ret_chunk, rm_status *ret_status, rm_blob **ret_trailer);
/* Leaves, once, whether it was read to the end or not. on_ready never runs after this returned; the struct may be freed
 * once rm_subscriber_idle says so (a posted task may still be in the mailbox; it then calls on_ready with `left` set). */
void rm_flight_leave(rm_subscriber *subscriber);
bool rm_subscriber_idle(const rm_subscriber *subscriber);

#endif
