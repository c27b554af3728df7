#include "shim_types.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// Layers are decoded one after the other, and each needs room for its pictures: pages fresh from the system take longer than
// what fills them. So some memory that was released waits for the next picture of about its size.
enum { most_kept = 8 };
static const size_t least_kept_size = (size_t)1 << 16, most_kept_bytes = (size_t)1 << 26;

typedef struct {
    void *memory;
    size_t size;
} Block;

static Block kept[most_kept]; // the oldest first
static size_t kept_count, kept_bytes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *take_kept(size_t index)
{
    void *memory = kept[index].memory;
    kept_bytes -= kept[index].size;
    kept_count--;
    memmove(kept + index, kept + index + 1, (kept_count - index) * sizeof *kept);
    return memory;
}

// The smallest block that is large enough, unless most of it would lie idle.
static void *find_kept(size_t size)
{
    size_t best = kept_count;
    for (size_t i = 0; i < kept_count; i++)
        if (kept[i].size >= size && kept[i].size / 4 <= size && (best == kept_count || kept[i].size < kept[best].size))
            best = i;
    return best < kept_count ? take_kept(best) : NULL;
}

static void *allocate_fresh(size_t size)
{
    size_t huge_page = (size_t)1 << 21;
    if (size < 2 * huge_page || size > SIZE_MAX - huge_page)
        return malloc(size);
    size_t rounded = (size + huge_page - 1) / huge_page * huge_page;
    void *memory = aligned_alloc(huge_page, rounded);
#ifdef MADV_HUGEPAGE
    if (memory)
        (void)madvise(memory, rounded, MADV_HUGEPAGE);
#endif
    return memory;
}

void *wc_allocate(size_t size)
{
    void *memory = NULL;
    if (size >= least_kept_size) {
        pthread_mutex_lock(&lock);
        memory = find_kept(size);
        pthread_mutex_unlock(&lock);
    }
    return memory ? memory : allocate_fresh(size);
}

void wc_release(void *memory)
{
    size_t size = memory ? malloc_usable_size(memory) : 0;
    if (size < least_kept_size || size > most_kept_bytes) {
        free(memory);
        return;
    }
    void *dropped[most_kept];
    size_t dropped_count = 0;
    pthread_mutex_lock(&lock);
    while (kept_count == most_kept || (kept_count && kept_bytes > most_kept_bytes - size))
        dropped[dropped_count++] = take_kept(0);
    kept[kept_count++] = (Block){memory, size};
    kept_bytes += size;
    pthread_mutex_unlock(&lock);
    while (dropped_count)
        free(dropped[--dropped_count]);
}
