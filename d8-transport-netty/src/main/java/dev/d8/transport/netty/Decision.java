package dev.d8.transport.netty;

/** What becomes of a request once its head is here: it is answered, at once or late, or read to its end. */
sealed interface Decision permits Answer, Late, TaskCalls.Call {}
