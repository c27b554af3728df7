#include "CMappings.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// Mappings are in a list that only grows, so that a handler can walk it at any time, without a lock; those that ended are used again.
struct wc_mapping {
    _Atomic(uintptr_t) start;
    /// 0 while it is not in use.
    _Atomic(size_t) length;
    atomic_bool torn;
    char *path;
    /// The next in the list, which never changes.
    wc_mapping *next;
    /// The next of those that are not in use.
    wc_mapping *next_free;
};

static _Atomic(wc_mapping *) mappings;
static _Atomic(wc_mapping *) first_torn;
static wc_mapping *free_mappings;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t installed = PTHREAD_ONCE_INIT;
static struct sigaction previous;
static uintptr_t page_size;

/// Maps zeros from a page on to the end of the mapping that it is in.
///
/// POSIX does not list mmap among what a handler may call, but on Linux it is a system call and nothing else.
static bool cover(uintptr_t address) {
    for (wc_mapping *mapping = atomic_load(&mappings); mapping; mapping = mapping->next) {
        size_t length = atomic_load(&mapping->length);
        uintptr_t start = atomic_load(&mapping->start);
        // The thread that reads keeps its mapping in place, but others come and go meanwhile.
        if (!length || atomic_load(&mapping->length) != length || address < start || address - start >= length) continue;
        uintptr_t page = address & ~(page_size - 1);
        // All that is left, not a page: a file that was emptied would raise a signal for each.
        void *zeros = mmap((void *)page, start + length - page, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (zeros == MAP_FAILED) return false;
        atomic_store(&mapping->torn, true);
        wc_mapping *none = NULL;
        atomic_compare_exchange_strong(&first_torn, &none, mapping);
        return true;
    }
    return false;
}

static void on_bus_error(int number, siginfo_t *information, void *context) {
    (void)context;
    int error = errno;
    bool is_fault = information->si_code == BUS_ADRERR;
    if (!is_fault || !cover((uintptr_t)information->si_addr)) {
        // None of ours: what would have happened without this handler. A fault comes again when this returns.
        sigaction(SIGBUS, &previous, NULL);
        if (!is_fault) raise(number);
    }
    errno = error;
}

static void install(void) {
    page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &previous);
}

wc_mapping *wc_watch(const void *start, size_t length, const char *path) {
    pthread_once(&installed, install);
    char *copy = strdup(path);
    if (!copy) return NULL;
    pthread_mutex_lock(&lock);
    wc_mapping *mapping = free_mappings;
    bool is_new = !mapping;
    if (is_new) mapping = calloc(1, sizeof *mapping);
    else free_mappings = mapping->next_free;
    if (mapping) {
        mapping->path = copy;
        atomic_store(&mapping->start, (uintptr_t)start);
        atomic_store(&mapping->length, length);
        if (is_new) {
            mapping->next = atomic_load(&mappings);
            atomic_store(&mappings, mapping);
        }
    } else {
        free(copy);
    }
    pthread_mutex_unlock(&lock);
    return mapping;
}

bool wc_is_torn(const wc_mapping *mapping) { return atomic_load(&mapping->torn); }

void wc_unwatch(wc_mapping *mapping) {
    atomic_store(&mapping->length, 0);
    // One that is torn keeps its path, which may be asked for later.
    if (atomic_load(&mapping->torn)) return;
    pthread_mutex_lock(&lock);
    free(mapping->path);
    mapping->path = NULL;
    mapping->next_free = free_mappings;
    free_mappings = mapping;
    pthread_mutex_unlock(&lock);
}

const char *wc_torn_path(void) {
    const wc_mapping *mapping = atomic_load(&first_torn);
    return mapping ? mapping->path : NULL;
}
