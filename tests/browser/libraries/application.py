"""Publishes with the PyPI package mercure-publisher, synchronously and asynchronously."""

import asyncio
import sys

from mercure_publisher import AsyncMercurePublisher, MercureConfig, MercurePublisher

hub_url, key, topic = sys.argv[1:]
config = MercureConfig(hub_url=hub_url, publisher_jwt_key=key, publish_topics=["*"])

with MercurePublisher(config) as publisher:
    print(publisher.publish([topic, "https://example.com/all"], {"from": "Python"}, private=True, type="book", retry=5000))


async def publish():
    async with AsyncMercurePublisher(config) as publisher:
        print(await publisher.publish(topic, "asynchronous", private=True, id="urn:x:python"))


asyncio.run(publish())
