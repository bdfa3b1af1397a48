// The wrapper in a second translation unit of the same program.
#include <changeover.hpp>

std::uint64_t second_epoch(const changeover::recorder &recorder) {
    return recorder.sibling().epoch();
}

const void *second_category() {
    return &changeover::category();
}
