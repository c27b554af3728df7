#include "lazy_libraries.h"

#include <dlfcn.h>
#include <jxl/version.h>
#include <pthread.h>
#include <stdio.h>

// Debian names a library's package after its file, as libjxl0.7 has libjxl.so.0.7: the file's name is given in two parts.
typedef struct {
    const char *name, *version;
    const char *const *functions;
    size_t count;
    bool is_loaded;
} Library;

#define NAME(name) #name,
#define TEXT_OF(macro) #macro
#define TEXT(macro) TEXT_OF(macro)

// Fills `table`, a structure of pointers to the library's functions in their order.
static const void *load(Library *library, void *table, wc_message *message)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!library->is_loaded) {
        char file[64];
        snprintf(file, sizeof file, "%s.so.%s", library->name, library->version);
        void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL), **functions = table;
        library->is_loaded = handle;
        for (size_t i = 0; library->is_loaded && i < library->count; i++)
            library->is_loaded = (functions[i] = dlsym(handle, library->functions[i]));
        if (!library->is_loaded)
            snprintf(message->text, sizeof message->text, "%s (Debian: apt install %s%s)", dlerror(), library->name,
                     library->version);
    }
    bool is_loaded = library->is_loaded;
    pthread_mutex_unlock(&lock);
    return is_loaded ? table : NULL;
}

const wc_libav *wc_libav_load(wc_message *message)
{
    static wc_libav table;
    static const char *const functions[] = {WC_LIBAV_FUNCTIONS(NAME)};
    static Library library = {"libavformat", TEXT(LIBAVFORMAT_VERSION_MAJOR), functions, sizeof functions / sizeof *functions};
    return load(&library, &table, message);
}

const wc_libjxl *wc_libjxl_load(wc_message *message)
{
    static wc_libjxl table;
    static const char *const functions[] = {WC_LIBJXL_FUNCTIONS(NAME)};
    // Before version 1 every minor version has structures of its own.
    static Library library = {"libjxl",
#if JPEGXL_MAJOR_VERSION == 0
                              "0." TEXT(JPEGXL_MINOR_VERSION),
#else
                              TEXT(JPEGXL_MAJOR_VERSION),
#endif
                              functions, sizeof functions / sizeof *functions};
    return load(&library, &table, message);
}

const wc_libsndfile *wc_libsndfile_load(wc_message *message)
{
    static wc_libsndfile table;
    static const char *const functions[] = {WC_LIBSNDFILE_FUNCTIONS(NAME)};
    static Library library = {"libsndfile", "1", functions, sizeof functions / sizeof *functions};
    return load(&library, &table, message);
}
