// See group.h.
#include "streams/adapters/kafka/group.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "streams/adapters/kafka/client.h"
#include "streams/observe/logging.h"

namespace maily::kafka {
namespace {

constexpr int kPollMs = 200;
constexpr std::chrono::seconds kLook{2};  // how often it is asked who has what

class Group final : public Assignment {
 public:
  Group(const Options& options, uint16_t partition_count)
      : topic_(CommandsTopic(options)), group_(options.prefix + ".tasks"), partition_count_(partition_count) {}
  ~Group() override { Leave(); }

  Result<void> Open(const Options& options, const std::string& member) {
    const Properties properties{{"group.id", group_},
                                {"client.id", "maily " + member},
                                {"partition.assignment.strategy", "range"},
                                {"session.timeout.ms", std::to_string(kSessionTimeout.us / 1000)},
                                {"heartbeat.interval.ms", "1000"},
                                {"max.poll.interval.ms", "30000"},
                                {"enable.auto.commit", "false"},
                                {"auto.offset.reset", "latest"},
                                {"fetch.message.max.bytes", "1024"},
                                {"queued.max.messages.kbytes", "1024"}};
    MAILY_TRY(client_, MakeClient(RD_KAFKA_CONSUMER, options, properties, {.opaque = this, .on_rebalance = &OnRebalance}));
    rd_kafka_poll_set_consumer(client_.get());
    options_ = options;
    return Ok();
  }

  void Join(std::function<void(std::vector<PartitionId>)> assign) override {
    assign_ = std::move(assign);
    poller_ = std::thread([this] { Poll(); });
    looker_ = std::thread([this] { Look(); });
  }

  void Leave() override {
    {
      const std::lock_guard lock(mutex_);
      if (left_) return;
      left_ = true;
    }
    changed_.notify_all();
    if (poller_.joinable()) poller_.join();
    if (looker_.joinable()) looker_.join();
  }

  std::vector<PartitionId> Unassigned() const override {
    const std::lock_guard lock(mutex_);
    return unassigned_;
  }
  std::string trouble() const override {
    const std::lock_guard lock(mutex_);
    return trouble_;
  }

 private:
  static void OnRebalance(rd_kafka_t* client, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* list, void* opaque) {
    auto* self = static_cast<Group*>(opaque);
    if (what != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
      // Those that stay here come back in a moment: nothing is handed over before the new assignment says so.
      rd_kafka_assign(client, nullptr);
      return;
    }
    rd_kafka_assign(client, list);
    rd_kafka_pause_partitions(client, list);
    std::vector<PartitionId> mine;
    for (int i = 0; i < list->cnt; ++i) {
      if (list->elems[i].topic == self->topic_) mine.emplace_back(static_cast<uint16_t>(list->elems[i].partition));
    }
    std::ranges::sort(mine);
    observe::Log(observe::Level::kInfo, "partitions assigned", {{"group", self->group_}, {"count", mine.size()}});
    self->assign_(std::move(mine));
  }

  bool left() const {
    const std::lock_guard lock(mutex_);
    return left_;
  }

  // A thread of its own: being polled is how a member stays one.
  void Poll() {
    const PositionsPtr topics(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(topics.get(), topic_.c_str(), RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(client_.get(), topics.get());
    while (!left()) {
      const MessagePtr ignored(rd_kafka_consumer_poll(client_.get(), kPollMs));
    }
    rd_kafka_consumer_close(client_.get());
  }

  // Asks the group's coordinator who has what. librdkafka 2.0.2 asks the one it found first for ever, also when that one says that it is
  // none any more, or has come back and knows of nobody: after an answer that cannot be, a new client finds it anew.
  void Look() {
    std::unique_lock lock(mutex_);
    while (!left_) {
      lock.unlock();
      auto seen = Ask();
      if (!seen) admin_.reset();
      lock.lock();
      trouble_ = seen ? "" : seen.error().ToString();
      if (seen) unassigned_ = std::move(*seen);
      changed_.wait_for(lock, kLook, [this] { return left_; });
    }
  }

  Result<std::vector<PartitionId>> Ask() {
    if (admin_ == nullptr) {
      MAILY_TRY(admin_, Admin::Connect(options_));
    }
    const char* name = group_.c_str();
    MAILY_TRY(const EventPtr event,
              admin_->Run(RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                rd_kafka_DescribeConsumerGroups(admin_->client(), &name, 1, options, queue);
              }));
    size_t count = 0;
    const auto* result = rd_kafka_event_DescribeConsumerGroups_result(event.get());
    const auto* groups = rd_kafka_DescribeConsumerGroups_result_groups(result, &count);
    if (count != 1) return Fail(Code::kRetry, "Kafka does not describe the group {}", group_);
    if (const rd_kafka_error_t* error = rd_kafka_ConsumerGroupDescription_error(groups[0])) {
      return Fail(Code::kRetry, "Kafka, group {}: {}", group_, rd_kafka_error_string(error));
    }
    if (rd_kafka_ConsumerGroupDescription_member_count(groups[0]) == 0) {
      return Fail(Code::kRetry, "Kafka, group {}: its coordinator knows of no member", group_);
    }
    std::vector<bool> has(partition_count_);
    for (size_t m = 0; m < rd_kafka_ConsumerGroupDescription_member_count(groups[0]); ++m) {
      const auto* assignment = rd_kafka_MemberDescription_assignment(rd_kafka_ConsumerGroupDescription_member(groups[0], m));
      const auto* list = assignment == nullptr ? nullptr : rd_kafka_MemberAssignment_partitions(assignment);
      for (int i = 0; list != nullptr && i < list->cnt; ++i) {
        const auto partition = static_cast<size_t>(list->elems[i].partition);
        if (list->elems[i].topic == topic_ && partition < has.size()) has[partition] = true;
      }
    }
    std::vector<PartitionId> without;
    for (size_t p = 0; p < has.size(); ++p) {
      if (!has[p]) without.emplace_back(static_cast<uint16_t>(p));
    }
    return without;
  }

  const std::string topic_;
  const std::string group_;
  const uint16_t partition_count_;
  std::function<void(std::vector<PartitionId>)> assign_;
  ClientPtr client_;
  Options options_;
  std::unique_ptr<Admin> admin_;  // of the looker
  std::thread poller_;
  std::thread looker_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool left_ = false;
  std::vector<PartitionId> unassigned_;
  std::string trouble_;
};

}  // namespace

Result<std::unique_ptr<Assignment>> MakeGroup(const Options& options, uint16_t partition_count, const std::string& member) {
  auto group = std::make_unique<Group>(options, partition_count);
  MAILY_TRY_VOID(group->Open(options, member));
  return std::unique_ptr<Assignment>(std::move(group));
}

}  // namespace maily::kafka
