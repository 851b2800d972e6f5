"""A Kafka client that is not ours (confluent_kafka of Debian), for end-to-end tests: what producers, readers and administrators do."""
from program import need

need(["confluent_kafka"], "scripts/setup.sh --kafka")
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic


class Client:
    """Producer, reader and administrator of one cluster."""

    def __init__(self, servers):
        self.servers = servers
        self.producer = Producer({"bootstrap.servers": servers, "log_level": 0, "message.max.bytes": 8 << 20, "enable.idempotence": True})
        self.admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})

    def write(self, topic, value, headers=(), key=None, partition=None):
        """Queued; flush() sends."""
        place = {} if partition is None else {"partition": partition}
        self.producer.produce(topic, value=value, key=key, headers=list(headers), on_delivery=self.delivered, **place)

    @staticmethod
    def delivered(error, message):
        if error is not None:
            raise RuntimeError(f"{message.topic()}: {error}")

    def flush(self):
        left = self.producer.flush(60)
        if left:
            raise RuntimeError(f"{left} records were not taken")

    def read(self, topic):
        """Every record there is: (partition, offset, key, value, headers as a list of pairs)."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "none", "enable.auto.commit": False, "enable.partition.eof": True})
        partitions = consumer.list_topics(topic, 20).topics[topic].partitions
        consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
        records, ended = [], set()
        while len(ended) < len(partitions):
            message = consumer.poll(30)
            if message is None:
                raise RuntimeError(f"{topic}: nothing came for 30 s")
            if message.error():
                ended.add(message.partition())
                continue
            records.append((message.partition(), message.offset(), message.key(), message.value(), message.headers() or []))
        consumer.close()
        return records

    def committed(self, group, topic):
        """What a consumer group has settled, over all partitions."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": group, "enable.auto.commit": False})
        places = [TopicPartition(topic, p) for p in consumer.list_topics(topic, 20).topics[topic].partitions]
        total = sum(max(0, place.offset) for place in consumer.committed(places, 20))
        consumer.close()
        return total

    def settings(self, topic):
        resource = ConfigResource("topic", topic)
        return {name: entry.value for name, entry in self.admin.describe_configs([resource])[resource].result(30).items()}

    def alter(self, topic, **changes):
        """Changes settings of a topic; those that were set before stay."""
        resource = ConfigResource("topic", topic)
        now = self.admin.describe_configs([resource])[resource].result(30)
        kept = {name: entry.value for name, entry in now.items() if not entry.is_default and not entry.is_read_only and entry.source == 1}
        kept.update({name.replace("_", "."): str(value) for name, value in changes.items()})
        wanted = ConfigResource("topic", topic, set_config=kept)
        self.admin.alter_configs([wanted])[wanted].result(30)

    def delete(self, topic):
        self.admin.delete_topics([topic], operation_timeout=30)[topic].result(60)

    def create(self, topic, partitions, **settings):
        made = NewTopic(topic, partitions, 1, config={name.replace("_", "."): str(value) for name, value in settings.items()})
        self.admin.create_topics([made], operation_timeout=30)[topic].result(60)
