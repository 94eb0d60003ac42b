package caribou;

import java.io.File;
import java.util.Map;
import org.deeplearning4j.util.ModelSerializer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.api.preprocessor.DataNormalization;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.shade.jackson.databind.JsonNode;

/** Restores the normalizer of an archive, as a program does, and transforms an array with it. */
final class Normalizers {
    private Normalizers() {}

    static void run(JsonNode request, Map<String, Object> answer) throws Exception {
        DataNormalization normalizer = ModelSerializer.restoreNormalizerFromFile(new File(request.get("normalizer").asText()));
        INDArray x = Nd4j.createFromNpyFile(new File(request.get("x").asText())).castTo(DataType.FLOAT).dup('c');
        normalizer.transform(x);
        Nd4j.writeAsNumpy(x.dup('c'), new File(request.get("out").asText()));
        answer.put("class", normalizer.getClass().getSimpleName());
    }
}
