#include "tc_base.h"

const char *tc_status_text(tc_status status) {
    switch (status) {
    case TC_OK: return "ok";
    case TC_FULL: return "no room in the ring";
    case TC_TOO_LARGE: return "record larger than the ring can hold";
    case TC_NO_MEMORY: return "out of memory";
    case TC_CORRUPT: return "malformed record";
    case TC_CLOSED: return "closed";
    }
    return "unknown status";
}
