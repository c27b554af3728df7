#include "onnxruntime_table.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

// `OrtApiBase` of onnxruntime_c_api.h.
typedef struct {
    void *const *(*get_table)(uint32_t version);
    const char *(*get_version)(void);
} Base;

const wc_onnxruntime *wc_onnxruntime_load(const char *file, wc_engine_message *message)
{
    wc_onnxruntime *table = NULL;
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    const Base *(*get_base)(void) = library ? (const Base *(*)(void))dlsym(library, "OrtGetApiBase") : NULL;
    const Base *base = get_base ? get_base() : NULL;
    void *const *functions = base ? base->get_table(wc_onnxruntime_version) : NULL;
    if (!library) {
        snprintf(message->text, sizeof message->text, "%s", dlerror());
    } else if (!base) {
        snprintf(message->text, sizeof message->text, "%s: is another library", file);
    } else if (!functions) {
        snprintf(message->text, sizeof message->text, "%s: expected version 1.%d or later, found %s", file, wc_onnxruntime_version,
                 base->get_version());
    } else if (!(table = malloc(sizeof *table))) {
        snprintf(message->text, sizeof message->text, "out of memory");
    }
    if (!table) {
        if (library)
            dlclose(library);
        return NULL;
    }
#define FILL(place, name, result, parameters) table->name = (result(*) parameters)functions[place];
    WC_ONNXRUNTIME_FUNCTIONS(FILL)
    table->version = base->get_version();
    return table;
}
