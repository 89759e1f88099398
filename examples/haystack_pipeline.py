"""Haystack: BM25, then a ranker that knows when to stop, then an answer; and the pipeline as YAML."""

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.document_stores.in_memory import InMemoryDocumentStore

from r2ag.integrations.haystack import R2AGGenerator, R2AGModels, R2AGRanker
from r2ag.samples import documents_folder

question = "Who invented the paper coffee filter?"
store = InMemoryDocumentStore()
store.write_documents(
    [Document(content=file.read_text(), meta={"source": file.name}) for file in documents_folder().glob("*.md")]
)

models = R2AGModels()
pipeline = Pipeline()
pipeline.add_component("retriever", InMemoryBM25Retriever(store, top_k=8))
pipeline.add_component("ranker", R2AGRanker(models, threshold=0.3))
pipeline.add_component("generator", R2AGGenerator(models))
pipeline.connect("retriever.documents", "ranker.documents")
pipeline.connect("ranker.documents", "generator.documents")

inputs = {"retriever": {"query": question}, "ranker": {"query": question}, "generator": {"messages": question}}
reply = pipeline.run(inputs)["generator"]["replies"][0]
print(reply.text, "- cited:", reply.meta["r2ag"]["citations"])

loaded = Pipeline.loads(pipeline.dumps(), allowed_modules=["r2ag.*"])
print("saved and loaded:", loaded.run(inputs)["generator"]["replies"][0].text)
