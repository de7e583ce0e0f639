/* L3: merging in flight. A flight is one upstream answer on its way and everybody who waits for it, on any loop.
 *
 * Publisher side: one thread (where the upstream call runs). Subscriber side: each on its own executor's thread. A
 * subscriber is a cursor in a list of shared blobs, so a slow one costs no copy and slows nobody: once what it has not
 * read exceeds bytes_max it is cut off. The publisher is paused while even the fastest is RM_WRITE_HIGH_BYTES behind. */
#ifndef REMORA_BATCH_H
#define REMORA_BATCH_H

#include "remora/base.h"

typedef struct rm_flights rm_flights; /* the table of all flights; any thread */
typedef struct rm_flight rm_flight;

rm_flights *rm_flights_create(void);          /* NULL: no memory */
void rm_flights_destroy(rm_flights *flights); /* when no flight is left */
void rm_flights_count(rm_flights *flights, uint64_t *ret_flights, uint64_t *ret_followers);

/* ---- publisher --------------------------------------------------------------------------------------------------- */

typedef struct rm_flight_publisher {
    rm_exec *exec;
    void (*on_abandoned)(void *user); /* on exec: the last subscriber left; the publisher should cancel and end */
    void (*on_demand)(void *user);    /* on exec: somebody read; resume a paused source */
    void *user;
} rm_flight_publisher;

typedef struct rm_flight_options {
    const rm_key128 *key; /* NULL: nobody else can join */
    rm_blob *canonical;   /* with key: what is compared on a join; referenced as long as one can join */
    size_t bytes_max;     /* of the answer, to be joined or kept */
    bool keep;            /* without key too, keep the answer for rm_flight_play until the end or bytes_max */
    rm_flight_publisher publisher;
} rm_flight_options;

/* Makes a flight with one reference for the publisher (given back by rm_flight_release). With a key it can be joined
 * until it ends or its log outgrows bytes_max. RM_ENOMEM. RM_EBUSY: a flight of that key is there already. */
rm_status rm_flight_create(rm_flights *flights, const rm_flight_options *options,
                           rm_flight **ret_flight) RM_WARN_UNUSED;
/* Gives the flight a head (any bytes that the publisher and its subscribers agree on) and wakes the subscribers. */
void rm_flight_set_head(rm_flight *flight, rm_blob *head);
/* Appends to the log (takes over the reference). False: nobody has read for so long that the source should pause until
 * on_demand. */
bool rm_flight_push(rm_flight *flight, rm_blob *chunk);
/* Tells the subscribers what set_head, push and end have changed: those on the publisher's own executor inside this
 * call (so that an event leaves in the loop turn in which it came), the others through their mailbox. The publisher
 * holds its reference across the call. */
void rm_flight_wake(rm_flight *flight);
/* No more comes; wake must follow. `status` RM_OK: whole. The publisher's callbacks do not run after this. */
void rm_flight_end(rm_flight *flight, rm_status status);
/* Gives the publisher's reference back; the flight must have ended. */
void rm_flight_release(rm_flight *flight);
/* Plays back every chunk since the first, runs of equal flags as one piece, bytes valid during the call; `each` may end
 * it by returning false. False: some are not kept any more, or no memory, or `each` ended it. Publisher's thread, before
 * the end. */
bool rm_flight_play(rm_flight *flight, bool (*each)(void *user, uint32_t flags, rm_slice bytes), void *user);
/* No further joins (the answer is not one to share); those aboard stay. */
void rm_flight_seal(rm_flight *flight);

/* ---- subscriber -------------------------------------------------------------------------------------------------- */

typedef struct rm_subscriber {
    /* Set by the caller before joining. */
    rm_exec *exec;
    /* On exec: there may be something to read. On the publisher's executor from inside rm_flight_wake, else alone. */
    void (*on_ready)(struct rm_subscriber *subscriber);
    /* Private: guarded by the flight's lock while joined. */
    rm_flight *flight;
    rm_link link;
    rm_task task;
    rm_blob *backlog; /* what came before it joined; read first */
    rm_blob *cursor;  /* next chunk to read; NULL: none yet */
    uint64_t read_bytes;
    uint32_t round;
    bool posted; /* task is in the mailbox */
    bool cut;
    void (*on_gone)(struct rm_subscriber *subscriber);
} rm_subscriber;

/* Joins the flight of this key whose canonical bytes are equal; what has come so far can be read at once.
 * RM_ENOTFOUND; RM_EBUSY: it takes no more. Any executor's thread. */
rm_status rm_flight_join(rm_flights *flights, rm_key128 key, rm_slice canonical,
                         rm_subscriber *subscriber) RM_WARN_UNUSED;
/* The first subscriber, by the flight's maker, before anything is pushed. */
void rm_flight_join_first(rm_flight *flight, rm_subscriber *subscriber);

typedef enum rm_flight_read {
    RM_FLIGHT_WAIT = 0, /* nothing yet; on_ready will come */
    RM_FLIGHT_CHUNK,
    RM_FLIGHT_END, /* all was read; status is set */
    RM_FLIGHT_CUT  /* this one was too slow */
} rm_flight_read;

/* The head, NULL while there is none; stays valid while subscribed. */
rm_blob *rm_flight_head(const rm_subscriber *subscriber);
/* Next chunk, with a reference that the caller gives back. */
rm_flight_read rm_flight_next(rm_subscriber *subscriber, rm_blob **ret_chunk, rm_status *ret_status);
/* Leaves, whether it was read to the end or not; does nothing if it is not joined. on_ready does not run afterwards,
 * but a posted task may still be in the mailbox: the struct may be freed only when this returns true, else in
 * on_gone, which then runs once on exec. */
bool rm_flight_leave(rm_subscriber *subscriber, void (*on_gone)(rm_subscriber *subscriber));

#endif
