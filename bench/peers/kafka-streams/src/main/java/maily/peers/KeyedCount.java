package maily.peers;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Workload W1 on Kafka Streams: counts the records of each key of a topic and writes the counts to another one.
 *
 * <p>Usage: KeyedCount servers application in out state-dir shape guarantee [name=value…]; shapes: count0 (groupByKey().count(), no
 * cache: one output an update), processor (a Processor over a cached store, one output an update), count (the default cache: outputs are
 * deduplicated). Guarantees: exactly_once_v2, at_least_once. What follows are properties of Kafka Streams.
 *
 * <p>Prints a line when it runs, "progress SECONDS COMMITTED" twice a second (committed offsets of the application, over all partitions),
 * and ends when standard input does.
 */
public final class KeyedCount {
  private static final String STORE = "counts";

  private KeyedCount() {}

  static final class Counter extends ContextualProcessor<Bytes, byte[], Bytes, Long> {
    private KeyValueStore<Bytes, Long> counts;

    @Override
    public void init(ProcessorContext<Bytes, Long> context) {
      super.init(context);
      counts = context.getStateStore(STORE);
    }

    @Override
    public void process(Record<Bytes, byte[]> record) {
      final Long before = counts.get(record.key());
      final long now = (before == null ? 0 : before) + 1;
      counts.put(record.key(), now);
      context().forward(record.withValue(now));
    }
  }

  private static void topology(StreamsBuilder builder, String shape, String in, String out) {
    final var input = builder.stream(in, Consumed.with(Serdes.Bytes(), Serdes.ByteArray()));
    final var to = Produced.with(Serdes.Bytes(), Serdes.Long());
    if (shape.equals("processor")) {
      final var store = Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.Bytes(), Serdes.Long());
      builder.addStateStore(store.withCachingEnabled());
      input.process(Counter::new, STORE).to(out, to);
      return;
    }
    final Materialized<Bytes, Long, KeyValueStore<Bytes, byte[]>> counts =
        Materialized.<Bytes, Long, KeyValueStore<Bytes, byte[]>>as(STORE).withKeySerde(Serdes.Bytes()).withValueSerde(Serdes.Long());
    input.groupByKey(Grouped.with(Serdes.Bytes(), Serdes.ByteArray())).count(counts).toStream().to(out, to);
  }

  public static void main(String[] arguments) throws Exception {
    final String servers = arguments[0];
    final String application = arguments[1];
    final String in = arguments[2];
    final String out = arguments[3];
    final String shape = arguments[5];
    final Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
    properties.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, arguments[6]);
    properties.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
    properties.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    if (shape.equals("count0")) {
      properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
    }
    for (int i = 7; i < arguments.length; ++i) {
      final int equals = arguments[i].indexOf('=');
      properties.put(arguments[i].substring(0, equals), arguments[i].substring(equals + 1));
    }
    final StreamsBuilder builder = new StreamsBuilder();
    topology(builder, shape, in, out);
    final KafkaStreams streams = new KafkaStreams(builder.build(properties), properties);
    final Thread reporter = new Thread(() -> report(servers, application), "reporter");
    reporter.setDaemon(true);
    streams.setStateListener((now, before) -> {
      System.out.println("state " + System.nanoTime() / 1e9 + " " + now);
      System.out.flush();
    });
    streams.start();
    reporter.start();
    while (System.in.read() >= 0) {
      continue;
    }
    streams.close(Duration.ofSeconds(30));
  }

  private static void report(String servers, String application) {
    final Map<String, Object> settings = new HashMap<>();
    settings.put(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
    try (Admin admin = Admin.create(settings)) {
      while (true) {
        long sum = 0;
        try {
          final var committed = admin.listConsumerGroupOffsets(application).partitionsToOffsetAndMetadata().get(5, TimeUnit.SECONDS);
          for (final OffsetAndMetadata offset : committed.values()) {
            sum += offset == null ? 0 : offset.offset();
          }
        } catch (java.util.concurrent.ExecutionException | java.util.concurrent.TimeoutException none) {
          sum = 0; // the group is not there yet
        }
        System.out.println("progress " + System.nanoTime() / 1e9 + " " + sum);
        System.out.flush();
        Thread.sleep(200);
      }
    } catch (Exception error) {
      System.err.println("reporter: " + error);
    }
  }
}
