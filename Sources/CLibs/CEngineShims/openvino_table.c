#include "openvino_table.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

const wc_openvino *wc_openvino_load(const char *file, wc_engine_message *message)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    wc_openvino *table = library ? malloc(sizeof *table) : NULL;
    bool is_complete = table;
#define FIND(name, result, parameters) \
    is_complete = is_complete && (table->name = (result(*) parameters)dlsym(library, #name));
    WC_OPENVINO_FUNCTIONS(FIND)
    if (is_complete)
        return table;
    const char *reason = dlerror();
    snprintf(message->text, sizeof message->text, "%s", reason ? reason : "out of memory");
    free(table);
    if (library)
        dlclose(library);
    return NULL;
}

int wc_openvino_compile(const wc_openvino *table, const ov_core_t *core, const ov_model_t *model, const char *threads,
                        ov_compiled_model_t **compiled)
{
    return table->ov_core_compile_model(core, model, "CPU", 4, compiled, "INFERENCE_NUM_THREADS", threads,
                                        "INFERENCE_PRECISION_HINT", "f32");
}
