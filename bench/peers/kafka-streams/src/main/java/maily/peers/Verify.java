package maily.peers;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads an output topic of workload W1 as any client would, committed records only, and prints "records R keys K sum S repeated D missing
 * M": S is the sum of the newest counts, D counts records whose count is not above the one before of its key, M the counts between them
 * that are not there. Usage: Verify servers topic.
 */
public final class Verify {
  private Verify() {}

  public static void main(String[] arguments) {
    final Map<String, Object> settings =
        Map.of(
            "bootstrap.servers", arguments[0], "isolation.level", "read_committed", "enable.auto.commit", "false", "max.poll.records",
            "20000", "max.partition.fetch.bytes", "4194304", "key.deserializer", ByteArrayDeserializer.class.getName(),
            "value.deserializer", ByteArrayDeserializer.class.getName());
    long records = 0;
    long repeated = 0;
    long missing = 0;
    final Map<Long, Long> newest = new HashMap<>();
    try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings)) {
      final List<TopicPartition> partitions = new ArrayList<>();
      consumer.partitionsFor(arguments[1]).forEach(p -> partitions.add(new TopicPartition(p.topic(), p.partition())));
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      final Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
        for (final ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
          ++records;
          final long key = Long.parseUnsignedLong(new String(record.key()), 16);
          final long count = ByteBuffer.wrap(record.value()).getLong();
          final long before = newest.getOrDefault(key, 0L);
          if (count <= before) {
            ++repeated;
          } else {
            missing += count - before - 1;
            newest.put(key, count);
          }
        }
      }
    }
    final long sum = newest.values().stream().mapToLong(Long::longValue).sum();
    System.out.println("records " + records + " keys " + newest.size() + " sum " + sum + " repeated " + repeated + " missing " + missing);
  }
}
