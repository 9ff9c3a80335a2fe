// Holds signals back while the addon computes. oneDNN's generated products (before 3.11.3) let the stack pointer point into
// the heap, so that a handler's frame would overwrite memory (uxlfoundation/oneDNN issue 4845). The pool's threads start
// inside a held call and inherit the mask; a signal reaches another thread of Node, or this one when the call returns.
#pragma once
#include <signal.h>

namespace deft {

class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t all;
    sigfillset(&all);
    // these come from the running instruction itself: holding them would end the process without a word
    for (int raised : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) sigdelset(&all, raised);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsHeld() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

 private:
  sigset_t before_;
};

}  // namespace deft
