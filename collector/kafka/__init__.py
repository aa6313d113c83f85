"""Kafka as a source of transactions: a consumer group whose offsets move only after the acknowledged write.

`address` and `settings` say where and how, `opening` opens it; the library (confluent-kafka, extra `kafka`)
is imported only then.  `taking` is the pure step from messages to columns, `names` tells which topic this
is, `membership` follows the group, `source` puts them together.

Guarantee: nothing is lost and nothing is stored twice, whatever dies.  A message's identity is the topic
with its id, the partition and the offset, so what comes again is known; a topic that was deleted and made
anew has another id and is another source.
"""
