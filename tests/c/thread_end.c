/* Calls from a thread that is ending, whose thread-locals are gone already; and a library that is
 * unloaded and loaded again. */
#include "check.h"

#include <dlfcn.h>

static changeover_engine engine;
static changeover_recorder recorder;
static pthread_key_t key;
static int ended;

/* The destructors of pthreads' keys run after those of C++ and Rust. */
static void at_the_end(void *with) {
    char *text = NULL;
    changeover_engine own;
    (void)with;
    CHECK(changeover_record_bytes(recorder, 1) >= 0);
    CHECK(changeover_record_packet(engine, "news", 0) >= 0);
    EQUAL(changeover_unregister(engine, "none"), CHANGEOVER_UNKNOWN_STREAM);
    CHECK(changeover_last_error() <= 0 && changeover_last_error_text() != NULL);
    OK(changeover_status_json(engine, "news", &text));
    changeover_string_free(text);
    OK(register_inputs(engine, "more", 2, 1));
    OK(changeover_unregister_and_wait(engine, "more", 5000));
    OK(changeover_engine_create(NULL, &own));
    OK(register_inputs(own, "news", 2, 1));
    OK(changeover_engine_destroy(own, NULL));
    ended++;
}

/* It has used everything that keeps thread-locals. */
static void *used(void *with) {
    pthread_setspecific(key, &key);
    CHECK(changeover_record_packet(engine, "news", 0) >= 0);
    REFUSED(CHANGEOVER_UNKNOWN_STREAM, changeover_unregister(engine, "none"));
    return with;
}

static void *unused(void *with) {
    pthread_setspecific(key, &key);
    return with;
}

static void *load_and_unload(void *with) {
    void *library = dlopen(with, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        abort();
    }
    int32_t (*create)(const changeover_engine_options *, changeover_engine *);
    int32_t (*destroy)(changeover_engine, uint64_t *);
    *(void **)&create = dlsym(library, "changeover_engine_create");
    *(void **)&destroy = dlsym(library, "changeover_engine_destroy");
    changeover_engine one = {0};
    CHECK(create != NULL && destroy != NULL && create(NULL, &one) == CHANGEOVER_OK);
    CHECK(destroy(one, NULL) == CHANGEOVER_OK);
    CHECK(destroy(one, NULL) == CHANGEOVER_INVALID_HANDLE); /* a last error, thread-local */
    CHECK(dlclose(library) == 0);
    return NULL;
}

/* thread_end [COPY]: a copy of the library, which this program is not linked with. */
int main(int argc, char **argv) {
    CHECK(pthread_key_create(&key, at_the_end) == 0);
    OK(changeover_engine_create(NULL, &engine));
    OK(register_inputs(engine, "news", 2, 1));
    OK(changeover_recorder_open(engine, "news", 1, 0, &recorder));
    for (int i = 0; i < 10; i++)
        pthread_join(start_thread(i % 2 ? used : unused, NULL), NULL);
    EQUAL(ended, 10);
    OK(changeover_engine_destroy(engine, NULL));
    for (int i = 0; i < 20 && argc > 1; i++)
        pthread_join(start_thread(load_and_unload, argv[1]), NULL);
    printf("%d threads ended%s: ok\n", ended, argc > 1 ? ", 20 times unloaded" : "");
    return 0;
}
