{
  "targets": [
    {
      "target_name": "sluice",
      "sources": [
        "src/dataplane/native/addon.cpp",
        "src/dataplane/native/challenge.cpp",
        "src/dataplane/native/cookies.cpp",
        "src/dataplane/native/credentials.cpp",
        "src/dataplane/native/dtls-sessions.cpp",
        "src/dataplane/native/engine.cpp",
        "src/dataplane/native/hmac.cpp",
        "src/dataplane/native/icmp-errors.cpp",
        "src/dataplane/native/joins.cpp",
        "src/dataplane/native/judge-binding.cpp",
        "src/dataplane/native/judge.cpp",
        "src/dataplane/native/orders.cpp",
        "src/dataplane/native/outbox.cpp",
        "src/dataplane/native/streams-out.cpp",
        "src/dataplane/native/streams.cpp",
        "src/dataplane/native/tls-end.cpp",
        "src/dataplane/native/turns.cpp",
        "src/dataplane/native/worker-dtls.cpp",
        "src/dataplane/native/worker-errors.cpp",
        "src/dataplane/native/worker-streams.cpp",
        "src/dataplane/native/worker.cpp"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS"],
      "cflags!": ["-O3"],
      "cflags_cc!": ["-O3", "-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": ["-std=c++20", "-O2", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-missing-field-initializers"]
    }
  ]
}
