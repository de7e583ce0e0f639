/* The one door to the heap: here a test makes the Nth allocation of the whole program fail. */
#include <stdint.h>
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "remora/base.h"

void *rm_alloc(size_t bytes)
{
    if (rm_fault(RM_FAULT_ALLOC))
        return NULL;
    return malloc(bytes ? bytes : 1);
}

void *rm_calloc(size_t count, size_t bytes)
{
    if (rm_fault(RM_FAULT_ALLOC))
        return NULL;
    size_t all;
    if (__builtin_mul_overflow(count, bytes, &all))
        return NULL; /* the sanitizer's calloc would abort instead */
    if (all == 0)
        count = bytes = 1;
    return calloc(count, bytes);
}

void *rm_realloc(void *ptr, size_t bytes)
{
    if (rm_fault(RM_FAULT_ALLOC))
        return NULL;
    return realloc(ptr, bytes ? bytes : 1);
}

void rm_free(void *ptr)
{
    free(ptr);
}

void rm_alloc_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

char *rm_strdup(const char *text)
{
    return rm_slice_dup(rm_slice_cstr(text));
}

char *rm_slice_dup(rm_slice slice)
{
    if (slice.len == SIZE_MAX)
        return NULL;
    char *copy = rm_alloc(slice.len + 1);
    if (!copy)
        return NULL;
    if (slice.len)
        memcpy(copy, slice.ptr, slice.len);
    copy[slice.len] = '\0';
    return copy;
}
