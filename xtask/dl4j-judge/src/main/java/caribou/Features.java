package caribou;

import java.io.File;
import java.util.Map;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.transferlearning.TransferLearningHelper;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.dataset.MultiDataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.shade.jackson.databind.JsonNode;

/** What stock DL4J's {@code TransferLearningHelper} makes of examples, against the output of the frozen bottom of a network. */
final class Features {
    private Features() {}

    static void run(JsonNode request, Map<String, Object> answer) throws Exception {
        Model whole = Judge.restore(new File(request.get("whole").asText()));
        Model bottom = Judge.restore(new File(request.get("bottom").asText()));
        INDArray x = Nd4j.createFromNpyFile(new File(request.get("x").asText())).castTo(DataType.FLOAT).dup('c');
        INDArray wanted;
        if (whole instanceof MultiLayerNetwork network) {
            INDArray y = network.output(x.dup(), false);
            wanted = new TransferLearningHelper(network).featurize(new DataSet(x.dup(), y)).getFeatures();
        } else {
            ComputationGraph graph = (ComputationGraph) whole;
            INDArray[] y = graph.output(false, x.dup());
            MultiDataSet examples = new MultiDataSet(new INDArray[] {x.dup()}, y);
            wanted = new TransferLearningHelper(graph).featurize(examples).getFeatures(0);
        }
        INDArray found = bottom instanceof MultiLayerNetwork network
                ? network.output(x.dup(), false)
                : ((ComputationGraph) bottom).output(false, x.dup())[0];
        // The helper gives images as DL4J has them; the bottom gives them in the order of its source.
        if (wanted.rank() == 4 && wanted.length() == found.length()) {
            wanted = wanted.permute(0, 2, 3, 1).dup('c').reshape(found.shape());
        }
        boolean sameShape = java.util.Arrays.equals(wanted.shape(), found.shape());
        answer.put("output_difference", Double.toString(sameShape
                ? wanted.sub(found).amaxNumber().doubleValue() / Math.max(1e-30, wanted.amaxNumber().doubleValue())
                : Double.NaN));
        answer.put("shapes", java.util.Arrays.toString(wanted.shape()) + " and " + java.util.Arrays.toString(found.shape()));
    }
}
