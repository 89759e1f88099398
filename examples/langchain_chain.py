"""LangChain: from a question over a retriever to an answer, streamed."""

from operator import itemgetter

from langchain_core.runnables import RunnablePassthrough

from r2ag import Pipeline
from r2ag.corpus import read_documents
from r2ag.integrations.langchain import R2AGChatModel, R2AGCompressor, R2AGRetriever
from r2ag.samples import documents_folder

question = "Who invented the paper coffee filter?"
pipeline = Pipeline.from_pretrained()
encoder = pipeline.encoder
pipeline.add(read_documents([documents_folder()], encoder.count_tokens, encoder.passage_tokens))

retriever = R2AGRetriever(pipeline=pipeline, k=5)
chat = R2AGChatModel(pipeline=pipeline)
find = RunnablePassthrough.assign(documents=itemgetter("question") | retriever)
chain = find | (lambda found: itemgetter("question") | chat.bind(documents=found["documents"]))
for chunk in chain.stream({"question": question}):
    print(chunk.text, end="", flush=True)
print()

compressor = R2AGCompressor(pipeline=pipeline, threshold=0.3)  # behind any retriever, as a reranker
for document in compressor.compress_documents(retriever.invoke(question), question):
    print(f"{document.metadata['relevance_probability']:.2f}", document.metadata["title"])
