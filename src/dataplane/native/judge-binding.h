#pragma once

#include <napi.h>

namespace sluice {

/** For tests: a table and its judge, without sockets and threads. */
Napi::Function defineJudge(Napi::Env env);

}  // namespace sluice
