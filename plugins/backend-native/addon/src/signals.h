// Holds signals back during products. oneDNN's generated code (before 3.11.3) lets the stack pointer point into the heap, so that
// a handler's frame would overwrite memory (uxlfoundation/oneDNN issue 4845). The pool's threads hold them back always; on a
// thread of Node they wait until the product is done, or reach another thread. (Our own kernels need none of this, and the two
// calls of the system take longer than a small kernel.)
#pragma once
#include <signal.h>

#include <initializer_list>

namespace deft {

// Gives the mask that was there before.
inline sigset_t hold_signals() {
  sigset_t all, before;
  sigfillset(&all);
  // these come from the running instruction itself: holding them would end the process without a word
  for (int raised : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) sigdelset(&all, raised);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  return before;
}

class SignalsHeld {
 public:
  SignalsHeld() : before_(hold_signals()) {}
  ~SignalsHeld() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

 private:
  sigset_t before_;
};

}  // namespace deft
