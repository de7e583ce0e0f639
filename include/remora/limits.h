/* Every bound in one place. A change here is a change of behaviour: each has a test at its edge. */
#ifndef REMORA_LIMITS_H
#define REMORA_LIMITS_H

#define RM_KIB 1024ULL
#define RM_MIB (1024ULL * 1024ULL)

/* wire and net */
#define RM_HEADER_BYTES_MAX            (32 * RM_KIB)  /* request line and headers together */
#define RM_HEADER_COUNT_MAX            128            /* header lines of one message */
#define RM_BODY_BYTES_MAX              (32 * RM_MIB)  /* request body on known paths; others have none */
#define RM_CHUNK_EXTENSION_BYTES_MAX   4096           /* chunk extensions of one body, all together */
#define RM_PIPELINE_BYTES_MAX          (64 * RM_KIB)  /* read ahead of the request being answered */
#define RM_READ_BYTES                  65536          /* one read from a socket */
#define RM_CONNECTIONS_PER_LOOP_MAX    16384          /* accepted connections of one loop */
#define RM_CONNECTIONS_PER_ADDRESS_MAX 4096           /* of one peer address, per loop; loopback is exempt */
#define RM_WRITE_GATHER_BYTES_MAX      (16 * RM_KIB)  /* of one step's writes to one caller, joined */
#define RM_WRITE_HIGH_BYTES            (256 * RM_KIB) /* queued to one caller: the source is paused above */
#define RM_WRITE_LOW_BYTES             (64 * RM_KIB)  /* ... and resumed below */
#define RM_SSE_EVENT_BYTES_MAX         (8 * RM_MIB)   /* one event; longer ones pass on unparsed */
#define RM_TIMER_TICK_MS               16             /* resolution of deadlines */
#define RM_LOOPS_MAX                   256

/* exchange */
#define RM_EXCHANGE_ARENA_BYTES_MAX  (128 * RM_MIB) /* all scratch memory of one request */
#define RM_ARENA_BLOCK_BYTES         (4 * RM_KIB)
#define RM_ARENA_POOL_BLOCKS_MAX     256            /* spare blocks a loop keeps */
#define RM_RESPONSE_BUFFER_BYTES_MAX (8 * RM_MIB)   /* a JSON answer held back to state its cost; longer ones flow */
#define RM_STREAM_UPLOAD_HIGH_BYTES  (256 * RM_KIB) /* unread upload of an unknown path */
#define RM_STREAM_UPLOAD_LOW_BYTES   (64 * RM_KIB)
#define RM_REMORA_HEADER_BYTES_MAX   256 /* value of one x-remora-* request header */
#define RM_NAMESPACE_BYTES_MAX       128
#define RM_MODEL_NAME_BYTES_MAX      256

/* json */
#define RM_JSON_DEPTH_MAX           128 /* deeper requests pass on uncached */
#define RM_JSON_EXPONENT_DIGITS_MAX 15  /* numbers beyond 10^±10^15 pass on uncached */

/* config */
#define RM_CONFIG_BYTES_MAX      (1 * RM_MIB)
#define RM_CONFIG_ERRORS_MAX     64
#define RM_CONFIG_NAMESPACES_MAX 256
#define RM_UPSTREAMS_MAX         64
#define RM_MODELS_MAX            4096
#define RM_PRICE_MAP_BYTES_MAX   (64 * RM_MIB)

/* store */
#define RM_STORE_QUEUE_OPS_MAX      65536 /* writes that wait for the writer */
#define RM_STORE_QUEUE_BYTES_MAX    (64 * RM_MIB)
#define RM_STORE_BATCH_OPS_MAX      2048 /* writes in one commit */
#define RM_STORE_BATCH_BYTES_MAX    (16 * RM_MIB)
#define RM_STORE_RECORD_BYTES_MAX   (16 * RM_MIB) /* one cached answer, uncompressed */
#define RM_STORE_ANNEX_BYTES_MAX    (64 * RM_KIB) /* one annex or note */
#define RM_STORE_COMPRESS_BYTES_MIN 4096          /* shorter values are kept as they are */
#define RM_STORE_READERS_MAX        512
#define RM_TTL_MS_MAX               (10ULL * 365 * 86400 * 1000)

/* merging */
#define RM_FLIGHT_SUBSCRIBERS_MAX 65536

/* upstream */
#define RM_UPSTREAM_CONNECTIONS_MAX        1024          /* kept open per loop */
#define RM_UPSTREAM_HANDLES_SPARE_MAX      256           /* idle curl handles kept per loop */
#define RM_UPSTREAM_HEADER_BYTES_MAX       (64 * RM_KIB) /* an answer's; a request's is the next one */
#define RM_UPSTREAM_REQUEST_HEAD_BYTES_MAX (64 * RM_KIB) /* URL, and each line with its ": " and end */
#define RM_UPSTREAM_RETRY_AFTER_MS_MAX     60000         /* a longer wait is the caller's decision */
#define RM_UPSTREAM_BACKOFF_BASE_MS        200
#define RM_UPSTREAM_BACKOFF_MAX_MS         8000

/* observe */
#define RM_LOG_BUFFER_BYTES_MAX (1 * RM_MIB)  /* per thread; more is dropped and counted */
#define RM_LOG_BODY_BYTES_MAX   (64 * RM_KIB) /* of a prompt or an answer in one line; the rest is cut */
#define RM_METRIC_SERIES_MAX    512           /* of one labelled family; the rest become "other" */
#define RM_LEDGER_ROWS_MAX      8192          /* unflushed rows per loop; the rest become "other" */

/* embed */
#define RM_EMBED_TEXT_BYTES_MAX   (1 * RM_MIB)  /* of one text; more is never looked at */
#define RM_EMBED_VOCAB_BYTES_MAX  (32 * RM_MIB) /* tokenizer.json or vocab.txt */
#define RM_EMBED_VOCAB_TOKENS_MAX 262144
#define RM_EMBED_TOKEN_BYTES_MAX  400           /* of a vocabulary's entry: 100 characters */
#define RM_EMBED_CONFIG_BYTES_MAX (1 * RM_MIB)  /* config.json and its like */
#define RM_EMBED_HEADER_BYTES_MAX (16 * RM_MIB) /* the JSON at the head of a safetensors file */
#define RM_EMBED_TENSORS_MAX      4096
#define RM_EMBED_LAYERS_MAX       48
#define RM_EMBED_HIDDEN_MAX       4096
#define RM_EMBED_POSITIONS_MAX    8192
#define RM_EMBED_INPUTS_MAX       2048 /* texts of one request for embeddings */
#define RM_EMBED_ANSWER_BYTES_MAX (128 * RM_MIB)
#define RM_EMBED_WORKERS_MAX      256
#define RM_EMBED_QUEUE_TEXTS_MAX  16384 /* waiting in a lane, of all requests */
#define RM_EMBED_TURN_TOKENS_MAX  64    /* that a worker takes from several texts at once; a longer text goes alone */
#define RM_EMBED_BATCH_TOKENS_MAX 2048  /* encoded at once; also the longest text that an encoder takes */

/* index */
#define RM_INDEX_DIMENSIONS_MAX        4096
#define RM_INDEX_HITS_MAX              64       /* of one search */
#define RM_INDEX_CANDIDATES_MAX        256      /* whose vectors one search reads again to be exact */
#define RM_INDEX_ENTRIES_MAX           67108864 /* of one partition */
#define RM_INDEX_FLAT_ENTRIES          20000 /* a larger partition gets inverted lists, unless options say otherwise */
#define RM_INDEX_FRESH_MAX             2048  /* entries of a large partition that its lists do not hold yet */
#define RM_INDEX_DEAD_MAX              1024  /* removed entries that lists still hold, or a 16th of what they hold */
#define RM_INDEX_SAMPLE_MAX            98304 /* vectors that lists are trained from */
#define RM_INDEX_FINGERPRINT_BYTES_MAX 256

/* semantic cache */
#define RM_SEMANTIC_WAITING_MAX    1024 /* texts in the lane, from which on requests that wait for nothing add none */
#define RM_SEMANTIC_NAMESPACES_MAX 1024 /* with evidence of their own; requests in further ones are misses */
#define RM_SEMANTIC_RECEIPTS_MAX   4096 /* latest decisions that can be explained, and told right or wrong */

/* text guards of the semantic cache */
#define RM_GUARD_TEXT_BYTES_MAX (8 * RM_KIB) /* of one text; longer ones are for the exact cache */
#define RM_GUARD_TOKENS_MAX     1024         /* words of one text */
#define RM_GUARD_WORD_BYTES_MAX 64           /* of one word; longer ones are no language */
#define RM_GUARD_NUMBERS_MAX    64           /* that are compared; texts with more are for the exact cache */
#define RM_GUARD_VERBATIM_MAX   256          /* identifiers, addresses and pieces of code; the same */
#define RM_GUARD_QUOTES_MAX     16           /* quoted strings; the same */
#define RM_GUARD_MARKS_MAX      3            /* accents on one letter */

/* admin */
#define RM_ADMIN_BODY_BYTES_MAX  (1 * RM_MIB)
#define RM_ADMIN_CONNECTIONS_MAX 256

#endif
