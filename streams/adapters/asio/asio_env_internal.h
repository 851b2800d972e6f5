// What a Worker is made of, for the sockets of this folder.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "streams/adapters/asio/asio_env.h"

namespace maily::asio_net {

struct Worker::Impl {
  using Deadline = std::chrono::steady_clock::time_point;

  void Post(Job job);
  TimerId After(Duration delay, Job job);
  void Cancel(TimerId timer);
  void Drain();
  void Arm();
  void RunDue();
  void Run(Job job);

  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  boost::asio::steady_timer alarm{io};  // for the earliest timer; the worker's thread only
  std::vector<Job> running;             // the worker's thread only; kept for its capacity

  std::mutex mutex;
  bool stopped = false;  // guarded by mutex, as are the following
  bool drain_posted = false;
  std::vector<Job> posted;
  TimerId last_timer = 0;
  std::map<std::pair<Deadline, TimerId>, Job> timers;
  std::unordered_map<TimerId, Deadline> deadlines;  // of the entries of `timers`

  std::mutex stop_mutex;  // one Stop at a time
  std::thread thread;
};

}  // namespace maily::asio_net
