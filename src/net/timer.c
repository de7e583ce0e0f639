/* Deadlines: a hashed wheel (Varghese and Lauck 1987, scheme 6). Starting and stopping are a list operation; one
 * uv_timer is set for the next slot that holds something, and for nothing while the wheel is empty.
 *
 * A timer stands in the slot of the first tick that is not before its time; a slot also holds timers of later rounds,
 * which are passed over. */
#include "net_internal.h"

static uint64_t tick_of(uint64_t ms)
{
    return ms / RM_TIMER_TICK_MS;
}

static void slot_mark(rm_wheel *wheel, size_t slot)
{
    wheel->occupied[slot / 64] |= UINT64_C(1) << (slot % 64);
}

/* The first occupied slot's tick after `tick`, at most one turn ahead. */
static uint64_t next_tick(const rm_wheel *wheel, uint64_t tick)
{
    for (uint64_t step = 1; step <= RM_WHEEL_SLOTS;) {
        size_t slot = (size_t)((tick + step) % RM_WHEEL_SLOTS);
        uint64_t word = wheel->occupied[slot / 64] >> (slot % 64);

        if (word)
            return tick + step + (uint64_t)__builtin_ctzll(word);
        step += 64 - slot % 64;
    }
    return tick + RM_WHEEL_SLOTS;
}

static void on_wake(uv_timer_t *uv);

static void wake_at(rm_wheel *wheel, uint64_t tick)
{
    uint64_t now = uv_now(wheel->uv.loop), due = tick * RM_TIMER_TICK_MS;

    wheel->wake_tick = tick;
    uv_timer_start(&wheel->uv, on_wake, due > now ? due - now : 0, 0);
}

static void unlink_timer(rm_wheel *wheel, rm_timer *timer)
{
    timer->prev->next = timer->next;
    timer->next->prev = timer->prev;
    timer->prev = timer->next = NULL;
    wheel->armed--;
}

/* Fires what is due of one slot. A timer that fires may start and stop any other, so the slot is first emptied into a
 * ring of its own and then taken off one by one. */
static void run_slot(rm_wheel *wheel, uint64_t tick)
{
    size_t slot = (size_t)(tick % RM_WHEEL_SLOTS);
    rm_timer *head = &wheel->slots[slot];
    rm_timer ring = {.prev = head->prev, .next = head->next};

    wheel->occupied[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    if (head->next == head)
        return;
    ring.prev->next = ring.next->prev = &ring;
    head->prev = head->next = head;
    while (ring.next != &ring) {
        rm_timer *timer = ring.next;

        unlink_timer(wheel, timer);
        if (tick_of(timer->due_ms + RM_TIMER_TICK_MS - 1) <= tick) {
            timer->fire(timer);
            continue;
        }
        timer->prev = head->prev;
        timer->next = head;
        head->prev->next = timer;
        head->prev = timer;
        wheel->armed++;
        slot_mark(wheel, slot);
    }
}

static void on_wake(uv_timer_t *uv)
{
    rm_wheel *wheel = uv->data;
    uint64_t now = tick_of(uv_now(uv->loop));

    wheel->wake_tick = 0;
    /* After a long sleep one turn sees every slot; the last tick decides what is due. */
    if (now > wheel->tick + RM_WHEEL_SLOTS)
        wheel->tick = now - RM_WHEEL_SLOTS;
    while (wheel->tick < now) {
        uint64_t next = next_tick(wheel, wheel->tick);

        wheel->tick = next < now ? next : now;
        run_slot(wheel, wheel->tick);
    }
    if (wheel->armed)
        wake_at(wheel, next_tick(wheel, wheel->tick));
}

rm_status rm_net__wheel_init(rm_wheel *wheel, uv_loop_t *uv)
{
    for (size_t i = 0; i < RM_WHEEL_SLOTS; i++)
        wheel->slots[i].prev = wheel->slots[i].next = &wheel->slots[i];
    wheel->tick = tick_of(uv_now(uv));
    wheel->uv.data = wheel;
    return rm_net__uv_status(uv_timer_init(uv, &wheel->uv));
}

void rm_net__wheel_start(rm_wheel *wheel, rm_timer *timer, uint64_t delay_ms)
{
    uint64_t now = uv_now(wheel->uv.loop), tick;
    rm_timer *head;

    if (timer->prev)
        unlink_timer(wheel, timer);
    if (wheel->armed == 0 && tick_of(now) > wheel->tick)
        wheel->tick = tick_of(now); /* nothing was missed while the wheel was empty */
    timer->due_ms = delay_ms > UINT64_MAX / 2 ? UINT64_MAX / 2 : now + delay_ms;
    tick = tick_of(timer->due_ms + RM_TIMER_TICK_MS - 1);
    if (tick <= wheel->tick)
        tick = wheel->tick + 1;
    head = &wheel->slots[tick % RM_WHEEL_SLOTS];
    timer->prev = head->prev;
    timer->next = head;
    head->prev->next = timer;
    head->prev = timer;
    wheel->armed++;
    slot_mark(wheel, (size_t)(tick % RM_WHEEL_SLOTS));
    if (tick > wheel->tick + RM_WHEEL_SLOTS) /* its slot comes around earlier, in a round before its own */
        tick = wheel->tick + 1 + (tick - wheel->tick - 1) % RM_WHEEL_SLOTS;
    if (wheel->wake_tick == 0 || tick < wheel->wake_tick)
        wake_at(wheel, tick);
}

void rm_net__wheel_stop(rm_wheel *wheel, rm_timer *timer)
{
    /* The slot stays marked: its empty visit costs less than a search now. */
    if (timer->prev)
        unlink_timer(wheel, timer);
}
