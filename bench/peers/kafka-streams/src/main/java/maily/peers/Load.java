package maily.peers;

import java.util.HexFormat;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Makes a topic and fills it with the input of workload W1. Usage: Load servers topic partitions records keys [in-order]; 0 records: an empty
 * topic; in order: every key once before any comes again.
 */
public final class Load {
  private static final int VALUE_BYTES = 100;

  private Load() {}

  // splitmix64, as in bench/spine/meter.h.
  private static long mix(long state) {
    long z = state;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  private static final long STEP = 0x9E3779B97F4A7C15L;

  public static void main(String[] arguments) throws Exception {
    final String servers = arguments[0];
    final String topic = arguments[1];
    final long records = Long.parseLong(arguments[3]);
    final long keys = Long.parseLong(arguments[4]);
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", servers))) {
      final NewTopic made = new NewTopic(topic, Integer.parseInt(arguments[2]), (short) 1);
      admin.createTopics(java.util.List.of(made.configs(Map.of("retention.ms", "-1")))).all().get();
    }
    final Map<String, Object> settings =
        Map.of(
            "bootstrap.servers", servers, "acks", "1", "enable.idempotence", "false", "linger.ms", "50", "batch.size", "262144",
            "buffer.memory", "67108864", "key.serializer", ByteArraySerializer.class.getName(), "value.serializer",
            ByteArraySerializer.class.getName());
    final HexFormat hex = HexFormat.of();
    long state = 17;
    try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings)) {
      for (long i = 0; i < records; ++i) {
        state += STEP;
        final long key = arguments.length > 5 ? i % keys : Math.floorMod(mix(state), keys);
        final byte[] value = new byte[VALUE_BYTES];
        for (int at = 0; at + 8 <= VALUE_BYTES; at += 8) {
          state += STEP;
          final long random = mix(state);
          for (int b = 0; b < 8; ++b) {
            value[at + b] = (byte) (random >>> (8 * b));
          }
        }
        producer.send(new ProducerRecord<>(topic, hex.toHexDigits(mix(key + STEP)).getBytes(), value));
      }
    }
  }
}
