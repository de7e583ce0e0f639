/* Merging in flight.
 *
 *      upstream --push--> [chunk]->[chunk]->[chunk]        shared blobs, oldest first; and the tape of all since the start
 *                            ^        ^        ^
 *                        slow one   other   fastest         a subscriber is a cursor
 *
 * Happy path: create, join_first, (others join), set_head, push and wake …, end, wake, each subscriber reads to
 * RM_FLIGHT_END and leaves, the publisher releases.
 *
 * Invariants, all under flight->lock:
 * - A chunk lives until the last subscriber that has yet to read it has done so: as long as a cursor stands at it or
 *   before it (chunk->waiting: how many stand at it). So joining, reading and leaving cost the same however many are
 *   aboard and however much is unread; only push and wake go through all.
 * - While `keep` is set the tape holds every chunk since the first: what a late joiner is played, and the record.
 * - Once more than bytes_max has come, nothing is kept, nobody can join, and a subscriber that far behind is cut off.
 * Lock order: a table shard's lock, then a flight's. No callback runs under either.
 */
#include <pthread.h>

#include "remora/batch.h"
#include "tape.h"

#define SHARDS 64u

typedef struct shard {
    pthread_mutex_t lock;
    rm_map map;
} shard;

struct rm_flights {
    shard shards[SHARDS];
    _Atomic uint64_t flights, subscribers;
};

struct rm_flight {
    /* Fixed when it is made. */
    rm_flights *table;
    rm_key128 key;
    size_t bytes_max;
    rm_flight_publisher publisher;
    bool keyed;

    pthread_mutex_t lock;
    /* Guarded by lock. */
    uint32_t refs;                      /* the publisher and each subscriber */
    bool joinable, keep, ended, paused; /* joinable implies keep */
    rm_blob *canonical;                 /* while joinable */
    rm_status status;
    rm_blob *head;
    rm_tape tape;
    rm_blob *first, *last;
    uint64_t pushed_bytes, furthest_bytes; /* furthest: what the fastest subscriber since the last push has read */
    rm_link local, remote;                 /* subscribers on the publisher's executor, and elsewhere */
    unsigned subscribers;
    uint32_t round;
    rm_task abandoned_task, demand_task;
    bool abandoned_posted, demand_posted;
};

rm_flights *rm_flights_create(void)
{
    rm_flights *flights = rm_calloc(1, sizeof *flights);
    if (!flights)
        return NULL;
    for (unsigned i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&flights->shards[i].lock, NULL);
        rm_map_init(&flights->shards[i].map);
    }
    return flights;
}

void rm_flights_destroy(rm_flights *flights)
{
    if (!flights)
        return;
    for (unsigned i = 0; i < SHARDS; i++) {
        RM_CHECK(flights->shards[i].map.count == 0);
        rm_map_deinit(&flights->shards[i].map);
        pthread_mutex_destroy(&flights->shards[i].lock);
    }
    rm_free(flights);
}

void rm_flights_count(rm_flights *flights, uint64_t *ret_flights, uint64_t *ret_followers)
{
    *ret_flights = atomic_load_explicit(&flights->flights, memory_order_relaxed);
    uint64_t subscribers = atomic_load_explicit(&flights->subscribers, memory_order_relaxed);
    *ret_followers = subscribers > *ret_flights ? subscribers - *ret_flights : 0;
}

static shard *shard_of(rm_flights *flights, rm_key128 key)
{
    return &flights->shards[key.lo % SHARDS];
}

static void flight_free(rm_flight *flight)
{
    RM_CHECK(flight->subscribers == 0);
    for (rm_blob *chunk = flight->first, *next; chunk; chunk = next) {
        next = chunk->next;
        rm_blob_unref(chunk);
    }
    rm_tape__deinit(&flight->tape);
    rm_blob_unref(flight->head);
    rm_blob_unref(flight->canonical);
    atomic_fetch_sub_explicit(&flight->table->flights, 1, memory_order_relaxed);
    pthread_mutex_destroy(&flight->lock);
    rm_free(flight);
}

/* Gives back one reference and the lock. */
static void unref_and_unlock(rm_flight *flight)
{
    bool last = --flight->refs == 0;
    pthread_mutex_unlock(&flight->lock);
    if (last)
        flight_free(flight);
}

static void run_abandoned(rm_task *task);
static void run_demand(rm_task *task);

rm_status rm_flight_create(rm_flights *flights, const rm_flight_options *options, rm_flight **ret_flight)
{
    if (options->key && rm_fault(RM_FAULT_FLIGHT))
        return RM_ENOMEM;
    rm_flight *flight = rm_calloc(1, sizeof *flight);
    if (!flight)
        return RM_ENOMEM;
    flight->table = flights;
    flight->bytes_max = options->bytes_max;
    flight->publisher = options->publisher;
    flight->keep = options->keep;
    rm_tape__init(&flight->tape, options->bytes_max);
    flight->refs = 1;
    flight->abandoned_task.run = run_abandoned;
    flight->demand_task.run = run_demand;
    rm_list_init(&flight->local);
    rm_list_init(&flight->remote);
    pthread_mutex_init(&flight->lock, NULL);
    atomic_fetch_add_explicit(&flights->flights, 1, memory_order_relaxed);
    rm_status status = RM_OK;
    if (options->key) {
        flight->keyed = flight->joinable = flight->keep = true;
        flight->key = *options->key;
        flight->canonical = rm_blob_ref(options->canonical);
        shard *home = shard_of(flights, flight->key);
        pthread_mutex_lock(&home->lock);
        if (rm_map_get(&home->map, flight->key))
            status = RM_EBUSY;
        else
            status = rm_map_put(&home->map, flight->key, flight);
        pthread_mutex_unlock(&home->lock);
    }
    if (status != RM_OK) {
        flight_free(flight);
        return status;
    }
    *ret_flight = flight;
    return RM_OK;
}

/* ---- the log ----------------------------------------------------------------------------------------------------- */

static void drop_read_chunks(rm_flight *flight)
{
    while (flight->first && flight->first->waiting == 0) {
        rm_blob *chunk = flight->first;
        flight->first = chunk->next;
        if (!flight->first)
            flight->last = NULL;
        rm_blob_unref(chunk);
    }
}

/* NULL: it will read nothing more of what is in the log. */
static void move_cursor(rm_subscriber *subscriber, rm_blob *to)
{
    if (subscriber->cursor)
        subscriber->cursor->waiting--;
    if (to)
        to->waiting++;
    subscriber->cursor = to;
}

static void offer(rm_flight *flight, rm_link *list, rm_blob *chunk)
{
    for (rm_link *link = list->next; link != list; link = link->next) {
        rm_subscriber *subscriber = RM_CONTAINER_OF(link, rm_subscriber, link);
        if (subscriber->cut)
            continue;
        if (!subscriber->cursor)
            move_cursor(subscriber, chunk);
        if (subscriber->read_bytes > flight->furthest_bytes)
            flight->furthest_bytes = subscriber->read_bytes;
        if (!flight->keep && flight->subscribers > 1 &&
            flight->pushed_bytes - subscriber->read_bytes > flight->bytes_max) {
            move_cursor(subscriber, NULL);
            subscriber->cut = true;
        }
    }
}

/* Takes the flight out of the table. Shard's and flight's locks are held. */
static void close_door(rm_flight *flight)
{
    if (flight->joinable)
        rm_map_remove(&shard_of(flight->table, flight->key)->map, flight->key);
    flight->joinable = false;
    rm_blob_unref(flight->canonical);
    flight->canonical = NULL;
}

static void stop_keeping(rm_flight *flight)
{
    close_door(flight);
    flight->keep = false;
    rm_tape__deinit(&flight->tape);
}

static void lock_both(rm_flight *flight)
{
    if (flight->keyed)
        pthread_mutex_lock(&shard_of(flight->table, flight->key)->lock);
    pthread_mutex_lock(&flight->lock);
}

static void unlock_both(rm_flight *flight)
{
    pthread_mutex_unlock(&flight->lock);
    if (flight->keyed)
        pthread_mutex_unlock(&shard_of(flight->table, flight->key)->lock);
}

void rm_flight_seal(rm_flight *flight)
{
    lock_both(flight);
    close_door(flight);
    unlock_both(flight);
}

bool rm_flight_play(rm_flight *flight, bool (*each)(void *user, uint32_t flags, rm_slice bytes), void *user)
{
    pthread_mutex_lock(&flight->lock);
    bool whole = flight->keep;
    pthread_mutex_unlock(&flight->lock);
    /* Only this thread adds to the tape or ends the keeping. */
    return whole && rm_tape__play(&flight->tape, each, user) == RM_OK;
}

void rm_flight_set_head(rm_flight *flight, rm_blob *head)
{
    pthread_mutex_lock(&flight->lock);
    RM_CHECK(!flight->head);
    flight->head = head;
    pthread_mutex_unlock(&flight->lock);
}

bool rm_flight_push(rm_flight *flight, rm_blob *chunk)
{
    lock_both(flight);
    if (flight->last)
        flight->last->next = chunk;
    else
        flight->first = chunk;
    flight->last = chunk;
    flight->pushed_bytes += chunk->len;
    if (flight->keep && (flight->pushed_bytes > flight->bytes_max || rm_tape__add(&flight->tape, chunk) != RM_OK))
        stop_keeping(flight);
    flight->furthest_bytes = 0; /* the fastest may have left: the source must not run ahead of those who are there */
    offer(flight, &flight->local, chunk);
    offer(flight, &flight->remote, chunk);
    drop_read_chunks(flight);
    if (flight->subscribers && flight->pushed_bytes - flight->furthest_bytes > RM_WRITE_HIGH_BYTES)
        flight->paused = true;
    bool go_on = !flight->paused;
    unlock_both(flight);
    return go_on;
}

void rm_flight_end(rm_flight *flight, rm_status status)
{
    lock_both(flight);
    flight->ended = true;
    flight->status = status;
    stop_keeping(flight);
    unlock_both(flight);
}

void rm_flight_wake(rm_flight *flight)
{
    pthread_mutex_lock(&flight->lock);
    for (rm_link *link = flight->remote.next; link != &flight->remote; link = link->next) {
        rm_subscriber *subscriber = RM_CONTAINER_OF(link, rm_subscriber, link);
        if (!subscriber->posted) {
            subscriber->posted = true;
            rm_exec_post(subscriber->exec, &subscriber->task);
        }
    }
    /* A subscriber may leave, and others may join or leave, inside on_ready: so the list is turned, not walked. */
    uint32_t round = ++flight->round;
    while (!rm_list_empty(&flight->local)) {
        rm_subscriber *subscriber = RM_CONTAINER_OF(flight->local.next, rm_subscriber, link);
        if (subscriber->round == round)
            break;
        subscriber->round = round;
        rm_list_remove(&subscriber->link);
        rm_list_append(&flight->local, &subscriber->link);
        pthread_mutex_unlock(&flight->lock);
        subscriber->on_ready(subscriber);
        pthread_mutex_lock(&flight->lock);
    }
    pthread_mutex_unlock(&flight->lock);
}

void rm_flight_release(rm_flight *flight)
{
    pthread_mutex_lock(&flight->lock);
    RM_CHECK(flight->ended);
    unref_and_unlock(flight);
}

/* ---- the publisher's side of the mailbox ------------------------------------------------------------------------- */

static void run_abandoned(rm_task *task)
{
    rm_flight *flight = RM_CONTAINER_OF(task, rm_flight, abandoned_task);
    lock_both(flight);
    /* Somebody may have joined since the last one left. */
    flight->abandoned_posted = false;
    bool tell = !flight->ended && flight->subscribers == 0;
    if (tell)
        close_door(flight);
    unlock_both(flight);
    /* The flight ends on this thread only, so not between the look and the call. */
    if (tell)
        flight->publisher.on_abandoned(flight->publisher.user);
    pthread_mutex_lock(&flight->lock);
    unref_and_unlock(flight);
}

static void run_demand(rm_task *task)
{
    rm_flight *flight = RM_CONTAINER_OF(task, rm_flight, demand_task);
    pthread_mutex_lock(&flight->lock);
    flight->demand_posted = false;
    bool tell = !flight->ended;
    pthread_mutex_unlock(&flight->lock);
    if (tell)
        flight->publisher.on_demand(flight->publisher.user);
    pthread_mutex_lock(&flight->lock);
    unref_and_unlock(flight);
}

/* The flight's lock is held. */
static void post_to_publisher(rm_flight *flight, rm_task *task, bool *posted)
{
    if (*posted)
        return;
    *posted = true;
    flight->refs++;
    rm_exec_post(flight->publisher.exec, task);
}

static void check_demand(rm_flight *flight)
{
    if (!flight->paused || flight->ended || flight->pushed_bytes - flight->furthest_bytes > RM_WRITE_LOW_BYTES)
        return;
    flight->paused = false;
    post_to_publisher(flight, &flight->demand_task, &flight->demand_posted);
}

/* ---- subscribers ------------------------------------------------------------------------------------------------- */

static void run_ready(rm_task *task)
{
    rm_subscriber *subscriber = RM_CONTAINER_OF(task, rm_subscriber, task);
    if (subscriber->on_gone) {
        subscriber->posted = false;
        subscriber->on_gone(subscriber);
        return;
    }
    rm_flight *flight = subscriber->flight;
    pthread_mutex_lock(&flight->lock);
    subscriber->posted = false;
    pthread_mutex_unlock(&flight->lock);
    subscriber->on_ready(subscriber);
}

/* The flight's lock is held. */
static void board(rm_flight *flight, rm_subscriber *subscriber)
{
    subscriber->flight = flight;
    subscriber->task.run = run_ready;
    subscriber->cursor = NULL;
    subscriber->backlog = NULL;
    subscriber->read_bytes = 0;
    subscriber->round = flight->round;
    subscriber->posted = subscriber->cut = false;
    subscriber->on_gone = NULL;
    rm_list_append(subscriber->exec == flight->publisher.exec ? &flight->local : &flight->remote, &subscriber->link);
    flight->subscribers++;
    flight->refs++;
    atomic_fetch_add_explicit(&flight->table->subscribers, 1, memory_order_relaxed);
}

/* ---- what has come before a subscriber joined ---------------------------------------------------------------------- */

static void free_backlog(rm_subscriber *subscriber)
{
    for (rm_blob *chunk = subscriber->backlog, *next; chunk; chunk = next) {
        next = chunk->next;
        rm_blob_unref(chunk);
    }
    subscriber->backlog = NULL;
}

static bool add_backlog(void *user, uint32_t flags, rm_slice bytes)
{
    rm_blob ***end = user;
    rm_blob *chunk = rm_blob_create_copy(bytes);
    if (!chunk)
        return false;
    chunk->flags = flags;
    **end = chunk;
    *end = &chunk->next;
    return true;
}

/* The flight's lock is held. */
static rm_status play_back(const rm_flight *flight, rm_subscriber *subscriber)
{
    rm_blob **end = &subscriber->backlog;
    subscriber->backlog = NULL;
    rm_status status = rm_tape__play(&flight->tape, add_backlog, &end);
    if (status != RM_OK)
        free_backlog(subscriber);
    return status;
}

void rm_flight_join_first(rm_flight *flight, rm_subscriber *subscriber)
{
    pthread_mutex_lock(&flight->lock);
    board(flight, subscriber);
    pthread_mutex_unlock(&flight->lock);
}

rm_status rm_flight_join(rm_flights *flights, rm_key128 key, rm_slice canonical, rm_subscriber *subscriber)
{
    shard *home = shard_of(flights, key);
    rm_status status = RM_ENOTFOUND;
    pthread_mutex_lock(&home->lock);
    rm_flight *flight = rm_map_get(&home->map, key);
    if (flight) {
        pthread_mutex_lock(&flight->lock);
        if (!rm_slice_eq(rm_blob_slice(flight->canonical), canonical))
            status = RM_ENOTFOUND;
        else if (flight->subscribers >= RM_FLIGHT_SUBSCRIBERS_MAX)
            status = RM_EBUSY;
        else {
            rm_blob *backlog;
            status = play_back(flight, subscriber);
            backlog = subscriber->backlog;
            if (status == RM_OK) {
                board(flight, subscriber);
                subscriber->backlog = backlog;
            }
        }
        pthread_mutex_unlock(&flight->lock);
    }
    pthread_mutex_unlock(&home->lock);
    return status;
}

rm_blob *rm_flight_head(const rm_subscriber *subscriber)
{
    pthread_mutex_lock(&subscriber->flight->lock);
    rm_blob *head = subscriber->flight->head;
    pthread_mutex_unlock(&subscriber->flight->lock);
    return head;
}

/* The flight's lock is held. */
static void note_read(rm_flight *flight, rm_subscriber *subscriber, const rm_blob *chunk)
{
    subscriber->read_bytes += chunk->len;
    if (subscriber->read_bytes > flight->furthest_bytes)
        flight->furthest_bytes = subscriber->read_bytes;
    check_demand(flight);
}

rm_flight_read rm_flight_next(rm_subscriber *subscriber, rm_blob **ret_chunk, rm_status *ret_status)
{
    rm_flight *flight = subscriber->flight;
    rm_flight_read result = RM_FLIGHT_WAIT;
    pthread_mutex_lock(&flight->lock);
    rm_blob *chunk = subscriber->cursor;
    if (subscriber->cut) {
        result = RM_FLIGHT_CUT;
    } else if (subscriber->backlog) {
        chunk = subscriber->backlog;
        subscriber->backlog = chunk->next;
        *ret_chunk = chunk;
        note_read(flight, subscriber, chunk);
        result = RM_FLIGHT_CHUNK;
    } else if (chunk) {
        *ret_chunk = rm_blob_ref(chunk);
        move_cursor(subscriber, chunk->next);
        note_read(flight, subscriber, chunk);
        drop_read_chunks(flight);
        result = RM_FLIGHT_CHUNK;
    } else if (flight->ended) {
        *ret_status = flight->status;
        result = RM_FLIGHT_END;
    }
    pthread_mutex_unlock(&flight->lock);
    return result;
}

bool rm_flight_leave(rm_subscriber *subscriber, void (*on_gone)(rm_subscriber *subscriber))
{
    rm_flight *flight = subscriber->flight;
    if (!flight)
        return true;
    pthread_mutex_lock(&flight->lock);
    move_cursor(subscriber, NULL);
    free_backlog(subscriber);
    rm_list_remove(&subscriber->link);
    bool idle = !subscriber->posted;
    subscriber->flight = NULL;
    subscriber->on_gone = on_gone;
    flight->subscribers--;
    atomic_fetch_sub_explicit(&flight->table->subscribers, 1, memory_order_relaxed);
    drop_read_chunks(flight);
    if (flight->subscribers == 0 && !flight->ended)
        post_to_publisher(flight, &flight->abandoned_task, &flight->abandoned_posted);
    unref_and_unlock(flight);
    return idle;
}
