// The header is C++ too: it compiles, and its functions link with C names.

#include "lumos_core.h"
#include <cstdio>
#include <cstring>
#include <type_traits>

static_assert(std::is_same<lumos_status, int32_t>::value, "a status is 32 bits");
static_assert(sizeof(lumos_run_info) == 48 && sizeof(lumos_column_info) == 40, "as the library has them");

int main() {
    const bool good = lumos_abi_version() >> 16 == LUMOS_ABI_MAJOR && std::strlen(lumos_version()) > 0;
    std::printf("header_only.cpp: %d passed, %d failed\n", good ? 1 : 0, good ? 0 : 1);
    return good ? 0 : 1;
}
