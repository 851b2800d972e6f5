package maily.peers;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Sends records of workload W1 at a fixed rate to one topic and watches the counts come out of another one, committed ones only: the n-th
 * record of a key was on its way until its count n is read. Prints "p50 MS p99 MS max MS records N" of what was sent after the warm-up.
 * Usage: Latency servers in out rate keys seconds warm-up-seconds.
 */
public final class Latency {
  private Latency() {}

  private static final int VALUE_BYTES = 100;

  public static void main(String[] arguments) throws Exception {
    final String servers = arguments[0];
    final int rate = Integer.parseInt(arguments[3]);
    final int keys = Integer.parseInt(arguments[4]);
    final int seconds = Integer.parseInt(arguments[5]);
    final int warm = Integer.parseInt(arguments[6]);
    final int total = rate * seconds;
    final long[][] sent = new long[keys][2 * (total / keys) + 16]; // by key and number; in nanoseconds
    final byte[][] names = new byte[keys][];
    final Map<ByteBuffer, Integer> numbers = new HashMap<>();
    for (int k = 0; k < keys; ++k) {
      names[k] = HexFormat.of().toHexDigits(0x9E3779B97F4A7C15L * (k + 1)).getBytes();
      numbers.put(ByteBuffer.wrap(names[k]), k);
    }
    final Thread sender = new Thread(() -> send(servers, arguments[1], rate, total, names, sent), "sender");
    final long[] took = new long[total];
    int count = 0;
    int seen = 0;
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(servers, arguments[2])) {
      final long begin = System.nanoTime();
      sender.start();
      final long end = begin + (seconds + 30) * 1_000_000_000L;
      while (seen < total && System.nanoTime() < end) {
        for (final ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
          final long now = System.nanoTime();
          final int key = numbers.get(ByteBuffer.wrap(record.key()));
          final long at = sent[key][(int) ByteBuffer.wrap(record.value()).getLong() - 1];
          ++seen;
          if (at - begin >= warm * 1_000_000_000L) {
            took[count++] = now - at;
          }
        }
      }
    }
    sender.join();
    if (seen < total) {
      throw new IllegalStateException(seen + " of " + total + " counts came");
    }
    final long[] sorted = Arrays.copyOf(took, count);
    Arrays.sort(sorted);
    System.out.printf("p50 %.3f p99 %.3f max %.3f records %d%n", sorted[count / 2] / 1e6, sorted[(int) (count * 0.99)] / 1e6,
        sorted[count - 1] / 1e6, count);
  }

  private static KafkaConsumer<byte[], byte[]> consumer(String servers, String topic) {
    final Map<String, Object> settings =
        Map.of(
            "bootstrap.servers", servers, "isolation.level", "read_committed", "enable.auto.commit", "false", "key.deserializer",
            ByteArrayDeserializer.class.getName(), "value.deserializer", ByteArrayDeserializer.class.getName());
    final KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings);
    final List<TopicPartition> partitions = new ArrayList<>();
    consumer.partitionsFor(topic).forEach(p -> partitions.add(new TopicPartition(p.topic(), p.partition())));
    consumer.assign(partitions);
    consumer.seekToBeginning(partitions);
    partitions.forEach(consumer::position);
    return consumer;
  }

  private static void send(String servers, String topic, int rate, int total, byte[][] names, long[][] sent) {
    final Map<String, Object> settings =
        Map.of(
            "bootstrap.servers", servers, "acks", "1", "enable.idempotence", "false", "key.serializer",
            ByteArraySerializer.class.getName(), "value.serializer", ByteArraySerializer.class.getName());
    final int[] next = new int[names.length];
    final byte[] value = new byte[VALUE_BYTES];
    try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings)) {
      final long begin = System.nanoTime();
      for (int i = 0; i < total; ++i) {
        final long due = begin + (long) (i * 1e9 / rate);
        while (System.nanoTime() < due) {
          java.util.concurrent.locks.LockSupport.parkNanos(200_000);
        }
        final int key = (int) (i * 7919L % names.length);
        sent[key][next[key]++] = System.nanoTime();
        producer.send(new ProducerRecord<>(topic, names[key], value));
      }
    }
  }
}
