#include <changeover.hpp>
#include <iostream>

int main() {
    changeover::engine engine;
    engine.register_stream(changeover::stream_config("news")
                               .add(changeover::input_config::hot(0, "udp://main"))
                               .add(changeover::input_config::hot(1, "udp://backup")));
    changeover::recorder feed = engine.open_recorder("news", 0);  // one per producer thread
    if (feed.record_bytes(1316).forward())  // for every packet
        std::cout << "send it\n";
}
