"""LlamaIndex: a query engine, an LLM that streams, and nodes with calibrated scores."""

from r2ag import Pipeline
from r2ag.corpus import read_documents
from r2ag.integrations.llama_index import R2AGLLM, R2AGPostprocessor, R2AGQueryEngine
from r2ag.samples import documents_folder

question = "Who invented the paper coffee filter?"
pipeline = Pipeline.from_pretrained()
encoder = pipeline.encoder
pipeline.add(read_documents([documents_folder()], encoder.count_tokens, encoder.passage_tokens))

engine = R2AGQueryEngine(pipeline)  # or R2AGQueryEngine(pipeline, index.as_retriever(similarity_top_k=5))
response = engine.query(question)
print(response, "- cited:", response.metadata["citations"])

for piece in R2AGLLM(pipeline=pipeline).stream_complete(question):
    print(piece.delta, end="", flush=True)
print()

postprocessor = R2AGPostprocessor(pipeline=pipeline, cutoff=0.3)  # behind any retriever, as a reranker
for node in postprocessor.postprocess_nodes(response.source_nodes, query_str=question):
    print(f"{node.score:.2f}", node.metadata["title"])
