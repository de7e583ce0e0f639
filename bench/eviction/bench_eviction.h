/* remora-bench eviction: hit ratio of the store's eviction policy against LRU. */
#ifndef REMORA_BENCH_EVICTION_H
#define REMORA_BENCH_EVICTION_H

/* Exit status: 0 done, 1 out of memory, 2 usage. */
int rm_bench_eviction(int argc, char **argv);

#endif
