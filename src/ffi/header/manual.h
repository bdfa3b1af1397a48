/*
 * changeover: a failover engine for live media inputs.
 *
 * Generated from src/ffi by cbindgen. Do not edit: change the sources, then
 *     CHANGEOVER_BLESS=1 cargo test --test capi header
 *
 * A stream has several redundant inputs. You tell the engine of every packet of every input
 * (changeover_record), and it answers whether that packet goes out. When the active input is
 * silent, starved, broken or reported bad, the engine moves the stream to the best other one; it
 * moves back when the better one has proved itself.
 *
 *     cc `pkg-config --cflags changeover` main.c `pkg-config --libs changeover`
 *
 *     changeover_engine engine;
 *     if (changeover_engine_create(NULL, &engine) < 0)
 *         die(changeover_last_error_text());
 *
 *     changeover_input_config inputs[2] = {changeover_input_config_init(),
 *                                          changeover_input_config_init()};
 *     inputs[0].address = "udp://main";
 *     inputs[0].hot = 1;
 *     inputs[1].address = "udp://backup";
 *     inputs[1].priority = 1;
 *     inputs[1].hot = 1;
 *     changeover_stream_config news = changeover_stream_config_init();
 *     news.id = "news";
 *     news.inputs = inputs;
 *     news.input_count = 2;
 *     changeover_register(engine, &news);
 *
 *     changeover_recorder recorder;    // one per producer thread
 *     changeover_recorder_open(engine, "news", 0, 0, &recorder);
 *     while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0)
 *         if (changeover_record_bytes(recorder, (uint32_t)n) > 0)
 *             send(out, buffer, (size_t)n, 0);
 *
 *     changeover_recorder_close(recorder);
 *     changeover_engine_destroy(engine, NULL);
 *
 * C99 or later, C++98 or later.
 *
 * THE RULES. Each function says where it differs.
 *
 * Answers. A function that answers int32_t (or int64_t) answers a negative CHANGEOVER_* code where
 *   it refuses: nothing was changed then, and nothing was written but the thread's last error.
 *   The list of codes is closed; changeover_strerror has a text for each,
 *   changeover_last_error_text what went wrong in particular.
 *
 * Handles (changeover_engine, changeover_recorder, ...) are numbers, not pointers; 0 is none. One
 *   that is stale, closed, of another kind or garbage answers CHANGEOVER_INVALID_HANDLE and touches
 *   nothing, also while other threads close it, and after its engine is gone. A number is not used
 *   again before 2^26 others were. What was opened on an engine ends with it.
 *
 * Structs that begin with `size` may grow in later versions. Make them with their init function
 *   (all 0 but the size): a program that was built with an older or newer header keeps working, or
 *   gets CHANGEOVER_BAD_STRUCT where it asks for what this library does not know. 0 in a field
 *   always means its default. `reserved` is 0.
 *
 * Pointers must be valid for the call; they are not kept. NULL answers CHANGEOVER_NULL_ARGUMENT,
 *   where it is not said to be fine. Texts are UTF-8 with a terminating 0. Texts that a function
 *   gives by char ** are yours: free them with changeover_string_free. Texts that it answers
 *   (const char *) are not.
 *
 * Threads. Every function may be called from any thread, at any time, also while another thread
 *   destroys the engine. changeover_record and its kin (_bytes, _batch, _precise, _at), with one
 *   recorder, are for one thread at a time; they are wait-free and async-signal-safe (not on an
 *   engine that is driven by hand; errno may change). changeover_record_packet is lock-free, and
 *   not async-signal-safe. Everything else takes short locks and waits for nobody's code, unless
 *   it says "may block".
 *
 * Callbacks (driver calls, notices) run on threads of the engine. They may call back into the API.
 *   What would have to wait for them (destroy, shutdown, waiting calls) answers
 *   CHANGEOVER_WOULD_BLOCK there. They must not throw, longjmp, or end their thread. None runs
 *   after changeover_engine_destroy has returned, but those that it says it had to leave behind.
 *   `destroy` is called once for each `user_data`, when nothing uses it any more.
 *
 * Panics do not cross: one answers CHANGEOVER_PANIC and is logged. Out of memory aborts.
 *
 * fork. The engine's threads are not in the child. There every call answers CHANGEOVER_FORKED,
 *   changeover_engine_destroy too (nothing is freed), and changeover_engine_create (locks of the
 *   process may be held by threads that are not there); recording counts in the child's copy of
 *   the memory, where nobody looks. Children of a process that had no engine at the time of the
 *   fork make engines of their own; exec is not concerned.
 *
 * A thread's first call should not come from a destructor of a pthread key: what the library then
 *   keeps for the thread (some 10 KiB) is never freed.
 *
 * dlclose. Destroy every engine before, and end every thread that has called the library: its last
 *   error is thread-local.
 */
