// The loop of a thread of the server: its sessions, and what other threads say to them. See session.h.
#include <boost/asio/post.hpp>

#include "api/http/session.h"

namespace maily::http {

void Loop::Send(Mail mail) {
  if (mail.kind != Mail::Kind::kResume && thread_id.load(std::memory_order_relaxed) == std::this_thread::get_id()) {
    const std::shared_ptr<Session> to = std::move(mail.to);
    return to->OnMail(mail);
  }
  const std::lock_guard lock(mutex);
  if (stopped) return;  // the mail is dropped after the lock
  mailbox.push_back(std::move(mail));
  if (deliver_posted) return;
  deliver_posted = true;
  // Under the lock: Stop destroys the io_context after it has set `stopped`.
  boost::asio::post(*io, [this] { Deliver(); });
}

void Loop::Deliver() {
  {
    const std::lock_guard lock(mutex);
    deliver_posted = false;
    delivering.swap(mailbox);
  }
  for (Mail& mail : delivering) mail.to->OnMail(mail);
  delivering.clear();
}

void Loop::Add(std::shared_ptr<Session> session) {
  session->index_in_loop = sessions.size();
  sessions.push_back(session);
  session->Start();
}

void Loop::Remove(Session* session) {
  const size_t index = session->index_in_loop;
  MAILY_CHECK(index < sessions.size() && sessions[index].get() == session, "a session is in no loop");
  std::swap(sessions[index], sessions.back());
  sessions[index]->index_in_loop = index;
  sessions.pop_back();
  shared.connections_metric.Add(-1);
  if (shared.connections.fetch_sub(1) == 1 && shared.draining.load()) {
    const std::lock_guard lock(shared.mutex);
    shared.no_connections.notify_all();
  }
}

void Loop::ArmSweep() {
  sweep->expires_after(sweep_interval);
  sweep->async_wait([this](const boost::system::error_code& ec) {
    if (ec) return;
    const SteadyTime now = std::chrono::steady_clock::now();
    // A session that closes puts the last one, which has been seen, in its place.
    for (size_t i = sessions.size(); i-- > 0;) {
      const std::shared_ptr<Session> session = sessions[i];
      session->OnSweep(now);
    }
    ArmSweep();
  });
}

void Loop::Drain() {
  for (size_t i = sessions.size(); i-- > 0;) {
    const std::shared_ptr<Session> session = sessions[i];
    session->OnDrain();
  }
}

}  // namespace maily::http
