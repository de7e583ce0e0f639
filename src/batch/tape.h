/* The record of a flight: every chunk since the first, for those who join late and for the cache.
 *
 * The events of a stream repeat themselves (id, model, the frame of each), so each is kept as what it does not share with
 * the beginning and the end of the one before: about a tenth of its bytes for a chat stream. Not thread-safe: the
 * flight's lock guards it. */
#ifndef REMORA_BATCH_TAPE_H
#define REMORA_BATCH_TAPE_H

#include "remora/base.h"

typedef struct rm_tape {
    rm_buf text;   /* mark, middle, mark, middle, … */
    rm_blob *last; /* the newest event, or chunk without one; referenced */
    size_t bytes;  /* of all chunks */
} rm_tape;

void rm_tape__init(rm_tape *tape, size_t bytes_max);
void rm_tape__deinit(rm_tape *tape);
/* RM_ENOMEM, RM_ETOOBIG: the tape is of no use any more. */
rm_status rm_tape__add(rm_tape *tape, rm_blob *chunk) RM_WARN_UNUSED;

/* Plays it back: `each` gets every run of chunks of equal flags as one piece, in order, bytes valid during the call.
 * False from `each` ends it. RM_ENOMEM; RM_ECANCELLED: `each` ended it. */
typedef bool (*rm_tape_each_fn)(void *user, uint32_t flags, rm_slice bytes);
rm_status rm_tape__play(const rm_tape *tape, rm_tape_each_fn each, void *user) RM_WARN_UNUSED;

#endif
