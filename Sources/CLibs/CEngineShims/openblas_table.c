#include "openblas_table.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

const wc_openblas *wc_openblas_load(const char *file, wc_engine_message *message)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(message->text, sizeof message->text, "%s", dlerror());
        return NULL;
    }
    void *functions[] = {dlsym(library, "cblas_sgemm"), dlsym(library, "cblas_sgemv"),
                         dlsym(library, "openblas_set_num_threads"), dlsym(library, "openblas_get_config")};
    wc_openblas *table = NULL;
    if (!functions[0] || !functions[1] || !functions[2] || !functions[3]) {
        snprintf(message->text, sizeof message->text, "%s: is another library", file);
    } else if (!(table = malloc(sizeof *table))) {
        snprintf(message->text, sizeof message->text, "out of memory");
    }
    if (!table) {
        dlclose(library);
        return NULL;
    }
    *(void **)&table->sgemm = functions[0];
    *(void **)&table->sgemv = functions[1];
    *(void **)&table->set_threads = functions[2];
    *(void **)&table->configuration = functions[3];
    return table;
}
