package caribou;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.deeplearning4j.models.embeddings.loader.WordVectorSerializer;
import org.deeplearning4j.models.embeddings.wordvectors.WordVectors;
import org.deeplearning4j.models.word2vec.Word2Vec;
import org.deeplearning4j.models.word2vec.wordstore.VocabCache;
import org.deeplearning4j.text.sentenceiterator.CollectionSentenceIterator;
import org.deeplearning4j.text.tokenization.tokenizerfactory.DefaultTokenizerFactory;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.ObjectMapper;

/**
 * Reads word vectors with stock DeepLearning4j. Takes one JSON request a line from standard input and answers each with
 * one line that starts with {@link #MARK}, because native code prints on standard output too.
 *
 * <p>Request: {@code {"file": "vectors.txt", "loader": "static", "vectors": "out.f32"}}, where the loader is {@code
 * static} ({@code loadStaticModel}) or {@code read} ({@code readWord2VecModel}). The answer lists the words in the order
 * of their indices; their vectors are written as float32, little-endian, one after the other.
 *
 * <p>Request: {@code {"train": ["a sentence", …], "folder": "out"}}. Trains a small {@code Word2Vec} on the sentences and has
 * DeepLearning4j write it in all its forms below the folder, the same words and numbers in each.
 */
public final class WordsJudge {
    private static final String MARK = "@judge ";
    private static final ObjectMapper JSON = new ObjectMapper();

    private WordsJudge() {}

    public static void main(String[] arguments) throws IOException {
        PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            answers.println("\n" + MARK + JSON.writeValueAsString(answer(line)));
        }
    }

    private static Map<String, Object> answer(String line) {
        Map<String, Object> answer = new LinkedHashMap<>();
        try {
            JsonNode request = JSON.readTree(line);
            if (request.has("train")) {
                train(request.get("train"), Path.of(request.get("folder").asText()));
                answer.put("ok", true);
                return answer;
            }
            WordVectors vectors = load(new File(request.get("file").asText()), request.get("loader").asText());
            List<String> words = words(vectors);
            answer.put("words", words);
            answer.put("dimensions", write(vectors, words, Path.of(request.get("vectors").asText())));
            answer.put("ok", true);
        } catch (Throwable failure) {
            answer.put("ok", false);
            answer.put("error", failure.toString());
        }
        return answer;
    }

    private static WordVectors load(File file, String loader) {
        return loader.equals("static")
                ? WordVectorSerializer.loadStaticModel(file)
                : WordVectorSerializer.readWord2VecModel(file);
    }

    private static void train(JsonNode sentences, Path folder) throws IOException {
        List<String> corpus = new ArrayList<>();
        sentences.forEach(sentence -> corpus.add(sentence.asText()));
        Word2Vec model = new Word2Vec.Builder()
                .iterate(new CollectionSentenceIterator(corpus))
                .tokenizerFactory(new DefaultTokenizerFactory())
                .minWordFrequency(1)
                .layerSize(8)
                .seed(7)
                .workers(1)
                .epochs(2)
                .build();
        model.fit();
        WordVectorSerializer.writeWord2VecModel(model, folder.resolve("model.zip").toFile());
        WordVectorSerializer.writeWordVectors(model, folder.resolve("vectors.txt").toFile());
    }

    private static List<String> words(WordVectors vectors) {
        VocabCache<?> vocabulary = vectors.vocab();
        List<String> words = new ArrayList<>();
        for (int i = 0; i < vocabulary.numWords(); i++) {
            words.add(vocabulary.wordAtIndex(i));
        }
        return words;
    }

    private static long write(WordVectors vectors, List<String> words, Path path) throws IOException {
        long dimensions = 0;
        try (FileChannel out = FileChannel.open(
                path, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING)) {
            for (String word : words) {
                float[] row = vectors.getWordVectorMatrix(word).castTo(DataType.FLOAT).dup().data().asFloat();
                dimensions = row.length;
                ByteBuffer bytes = ByteBuffer.allocate(row.length * 4).order(ByteOrder.LITTLE_ENDIAN);
                bytes.asFloatBuffer().put(row);
                out.write(bytes);
            }
        }
        return dimensions;
    }
}
