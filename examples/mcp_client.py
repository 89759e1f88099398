"""MCP: the official client starts `r2ag mcp` and calls its tools."""

import asyncio
import sys

from mcp import Client, StdioServerParameters

from r2ag.samples import documents_folder

server = StdioServerParameters(
    command=sys.executable, args=["-m", "r2ag.cli", "mcp", "--docs", str(documents_folder())]
)


async def main() -> None:
    async with Client(server) as client:
        question = {"question": "Who invented the paper coffee filter?", "k": 5}
        answer = (await client.call_tool("ask", question)).structured_content
        print(answer["answer"], "- cited:", answer["citations"])
        for document in (await client.call_tool("search", question)).structured_content["documents"]:
            print(f"{document['relevance_probability']:.2f}", document["title"])


asyncio.run(main())
